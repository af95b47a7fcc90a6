"""Models: what they are called, where they come from, how they are run. Knows no Beam and no codec.

    registry/             names, sources and label maps
    engines/              OpenVINO and TensorFlow
    engine.py             chooses and loads an engine
    batches.py            clips -> batches (stream_batches.py: of Stream models)
    scores.py             logits -> labels and scores
    output_activation.py  whether a model's outputs are logits, softmax or sigmoid
    model_info.py         what the catalog and a folder say of a model
    export.py             a model as a folder that workers load

TensorFlow, TensorFlow Hub and OpenVINO are imported inside the functions that need them, so that planning, `--help` and
most tests start without.
"""
