"""Runners: where the jobs of a run are executed. Nothing outside this package depends on which runner it is.

runner.py            the interface of runners, and the runner without any special features
registry.py          Beam's flags -> a runner
stores.py            Beam's flags -> access to object stores
local.py             threads of this process (guarded_runner.py: Beam's runner for it, heap.py: memory, proxies.py: no
                     proxy on loopback, loopback.py: access control)
flink.py             Flink (flink_cluster.py: its REST API, flink_job.py: progress and cancellation of a job)
prism.py             Beam's portable runner for one machine
dataflow.py          Dataflow (dataflow_options.py: defaults for its workers)
"""
