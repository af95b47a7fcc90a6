"""What differs between runners, one file a runner, and what this program changes of Beam.

kinds.py        names of runners
local.py        the local runner (heap.py: its memory, proxies.py: no proxy on loopback, loopback.py: no strangers)
flink.py        options of a Flink cluster (flink_job.py: its jobs over REST)
dataflow.py     options of Dataflow
beam_compat.py  every private name of Beam that is used
"""
