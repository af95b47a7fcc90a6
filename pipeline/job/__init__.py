"""One run: prepare it, build its graph, submit its jobs and wait for them.

preparation.py   what is checked and found out before the first job
earlier_runs.py  warnings about runs that are in the output already
graph.py         the pipeline, on one screen
launch.py        the run as a whole: the lock, the selection, the parts, the commit
sample_job.py    the job of `plan`: the selection without a run
jobs.py          one Beam job: submit it, wait, turn its failure into an error of ours
run_progress.py  the progress line of a job
"""
