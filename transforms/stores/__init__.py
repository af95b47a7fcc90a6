"""Object stores, read in ranges: what Beam's file systems cannot do.

Beam's own readers ask for "everything from here on" and drop the rest, make a client for each call, tell no etag and
keep the names of a whole listing in memory. Here a store does three small things, each one request that is whole or
fails:

    stat(uri)                  size and version of one object
    pages(prefix)              a listing, a page at a time
    read(video, start, stop)   these bytes of this very version

    base.py      what a store does, and the way to it
    s3.py        S3 and what speaks its protocol
    gcs.py       Google Cloud Storage
    beam.py      every other scheme, through Beam's file systems; and the errors that these raise
    clients.py   the client libraries that schemes need
    copying.py   whole files, from and to a store
    retrying.py  trying again what may pass
"""
