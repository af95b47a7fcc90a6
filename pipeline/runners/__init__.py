"""Runners, one file each.

kinds.py     names of runners
local.py     the local runner (heap.py: memory, proxies.py: no proxy on loopback, loopback.py: access control)
flink.py     options for a Flink cluster (flink_job.py: jobs over REST)
dataflow.py  options for Dataflow
"""
