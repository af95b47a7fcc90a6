"""One run: request -> prepared -> executed.

preparation.py    the checks before the first job, and the final configuration (places.py: errors about places)
earlier_runs.py   what earlier runs of the output mean for this one
execution.py      the run as a whole: in one job, in parts, or without a job (outcome.py: how it ended)
label_thresholds.py  the thresholds of a run, and whether they fit its model
output_access.py  the output during a run: lock, recovery, removal of the selection
run_model.py      the model in the launcher's process
sample_job.py     the job of `plan`: the selection without a run
labeling.py       the two jobs of a run (graph.py: the pipeline, on one screen)
labeler.py        from settings to the configuration of the steps that label videos
jobs.py           one Beam job: submit it, wait, turn its failure into one of our errors
run_progress.py   the progress of a run over all of its parts
"""
