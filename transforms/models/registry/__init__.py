"""What models are called and where they come from.

catalog.py      the models by name
resolver.py     a name, a handle or a folder -> a local folder (hub.py: from a hub, archives.py, unpacking.py)
cache.py        the folder in which fetched models are kept
saved_model.py  what a SavedModel's folder holds (foreign.py: what other files are)
manifest.py     what an exported model's folder holds
label_map.py    the names of the classes (labels/)
quiet.py        TensorFlow without its log lines
"""
