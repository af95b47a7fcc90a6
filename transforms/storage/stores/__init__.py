"""Object stores, read in ranges: what Beam's file systems cannot do.

Beam's own readers ask for everything from an offset on and drop the rest, make a client for each call, expose no etag
and keep the names of a whole listing in memory. Here a store does three small things, each one request that is whole or
fails:

    stat(uri)                  size and version of one object
    matching(pattern)          a listing, a page at a time
    read(video, start, stop)   these bytes of this very version

    store.py     what a store does
    registry.py  the store of a URI
    s3.py        S3 and what speaks its protocol
    gcs.py       Google Cloud Storage
    beam.py      every other scheme, through Beam's file systems
    clients.py   the client libraries that schemes need
    failures.py  exceptions of clients -> errors of ours
    retries.py   retries of requests
    copying.py   whole files, from and to a store
"""
