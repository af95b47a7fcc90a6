"""Runners, one file each, and this program's changes to Beam.

kinds.py        names of runners
local.py        the local runner (heap.py: memory, proxies.py: no proxy on loopback, loopback.py: access control)
flink.py        options for a Flink cluster (flink_job.py: jobs over REST)
dataflow.py     options for Dataflow
beam_compat.py  every private name of Beam that is used
"""
