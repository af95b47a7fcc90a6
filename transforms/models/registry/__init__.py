"""Names and sources of models.

catalog.py      the named models
resolver.py     a name, a handle or a folder -> a local folder (hub.py: from a hub, archives.py, unpacking.py,
                limited_stream.py)
cache.py        the cache of fetched and converted models
saved_model.py  checks a SavedModel's folder (foreign.py: recognizes other files)
plain_files.py  opens their files only if reading them ends
manifest.py     the manifest of an exported model
label_map.py    the names of the classes
quiet.py        hides TensorFlow's log lines
labels/, demo/  data: the labels of Kinetics-600, and the bundled model (made by tools/train_demo_model.py)
"""
