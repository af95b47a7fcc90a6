"""Object stores, read by byte ranges, which Beam's file systems do not support.

Beam's readers request everything from an offset on and discard the rest, create a client for each call, expose no etag
and keep all names of a listing in memory. A store here has three small operations. Each is a request that either
succeeds completely or fails:

    stat(uri)                  the size and version of one object
    matching(pattern)          a listing, page by page
    read(video, start, stop)   a byte range of the listed version

    store.py     the interface of stores
    registry.py  returns the store of a URI
    s3.py        S3, and servers with its protocol
    gcs.py       Google Cloud Storage (gcs_credentials.py: its credentials)
    beam.py      every other scheme, through Beam's file systems
    clients.py   the client libraries that schemes need
    failures.py  converts exceptions of clients to errors of this package
    retries.py   retries of requests
    copying.py   copies whole files from and to a store
"""
