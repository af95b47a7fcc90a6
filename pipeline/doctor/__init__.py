"""The checks of `reelbeam doctor`: what this machine and this installation can do. A check tries what a run would do.

findings.py      the result of a check, and the document of `--json`
subject.py       what is checked: the model, the locations, and the folders of this system
registry.py      all checks, in their order
running.py       run checks; one that crashes is unknown
installation.py  Python, packages and codecs
machine.py       CPU, speed of each precision, cores, memory and limits
sandboxing.py    the confinement of decoders, and the shared memory for clips
places.py        caches, free disk, inputs and output on local disk
credentials.py   credentials for the stores that are named
reaching.py      stores and hub over the network
reference.py     the recorded frames and logits (reference.json, made by tools/make_reference.py)
answers.py       the frames and logits of this machine against the recorded ones
workers.py       a small job on the runner, which runs checks on its workers
tables.py        the results for a terminal
"""
