"""Engines that run a model: OpenVINO or TensorFlow, Base or Stream.

signature.py         inputs and outputs of a model (signature_defs.py: read from a SavedModel)
stream.py            the interface and the signatures of Stream models
embeddings.py        finds the embedding in a graph
openvino_engine.py   Base on OpenVINO (openvino_stream.py: Stream, openvino_stream_graphs.py: its graphs)
openvino_cache.py    conversion, once per machine (compiled_cache.py: compiled models, openvino_import.py: the import)
tensorflow_engine.py Base on TensorFlow (tensorflow_stream.py: Stream, tensorflow_embeddings.py)
graph_ops.py         rejects unsafe operations in a TensorFlow graph
"""
