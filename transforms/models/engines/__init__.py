"""What runs a model: OpenVINO or TensorFlow, Base or Stream.

signature.py         inputs and outputs of a model (signature_defs.py, protos.py: read from a SavedModel)
stream.py            what is particular to Stream models
embeddings.py        where in a graph the embedding is
openvino_engine.py   Base on OpenVINO (openvino_stream.py: Stream)
openvino_cache.py    conversion, once a machine (compiled_cache.py: of compiled models, openvino_import.py)
tensorflow_engine.py Base on TensorFlow (tensorflow_stream.py, tensorflow_embeddings.py)
graph_ops.py         which operations a graph of TensorFlow's may have
"""
