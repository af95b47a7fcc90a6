"""Models: what they are called, where they come from, how they are run. Knows no Beam and no codec.

`catalog` names them, `resolver` finds or fetches them, `label_map` reads their classes, `engine` runs them and `scores`
turns their logits into labels. TensorFlow, TensorFlow Hub and OpenVINO are imported inside the functions that need
them, so that planning, `--help` and most tests start without.
"""
