"""Stores: local disk and object stores, with byte ranges, versions and conditional writes, which Beam does not have.

Beam's readers request everything from an offset on and discard the rest, create a client for each call, expose no etag
and keep all names of a listing in memory. A store here has one client in a process for all accesses, and nine
operations. Each either succeeds completely or fails:

    stat(uri)                      the size and version of one object
    matching(pattern)              a listing, page by page
    read(found, start, stop)       a byte range of the listed version
    read_versioned(uri)            a small object, with its version
    write_if(uri, data, version)   a small object, unless it was written since: the basis of a lock
    open(uri)                      an object as a file, to read
    create(uri)                    an object as a file, to write; an object store has it whole or not at all
    move(source, target)           an object of the store
    delete(uris)                   some objects

    store.py     the interface of stores, and what they say of an object (`ObjectInfo`)
    registry.py  returns the store of a URI (remote.py: of one that is not local, with Beam)
    local.py     local and shared folders
    s3.py        S3, and servers with its protocol
    gcs.py       Google Cloud Storage (gcs_credentials.py: its credentials)
    beam.py      every other scheme, through Beam's file systems
    optional_modules.py  keeps clients of stores from being imported until they are needed
    whole_objects.py  opens objects as files, for stores of objects
    clients.py   the client libraries that schemes need
    failures.py  converts exceptions of clients to errors of this package
    retries.py   retries of requests
    copying.py   copies whole files from and to a store
"""
