"""Models in object stores: between `models`, which knows no Beam, and `storage`.

fetching.py   copies a model's folder to local disk, once per version
labels.py     reads a label file
uploading.py  copies an exported model to a store
"""
