"""Models: their names, their sources, and how they are run. Independent of Beam and of codecs.

    registry/             names, sources and label maps
    engines/              OpenVINO and TensorFlow
    engine.py             the interface of engines, and the choice of one
    loading.py            loads an engine, once per process
    classifier_config.py  the configuration of the model step, and the sizes of its batches
    crops.py              runs several crops of a clip, and joins their results
    batches.py            runs batches of clips (stream_batches.py: for Stream models)
    scores.py             logits -> labels and scores (label_filter.py: which labels a row keeps)
    output_activation.py  whether a model's outputs are logits, softmax or sigmoid scores
    cpu_meter.py          the CPU time of a process while it runs the model
    model_info.py         describes a model for the run document
    cpus.py               CPUs that this process may use
    precision_speed.py    measures how fast each precision is here
    export.py             writes a model as a folder that workers load

TensorFlow, TensorFlow Hub and OpenVINO are imported inside the functions that need them, so that planning, `--help` and
most tests start without them.
"""
