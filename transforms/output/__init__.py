"""The output: a folder of Parquet files that runs add to, as a contract.

run_files.py    names and folders of a run's files
run_document.py what the JSON of a run says, as dataclasses
commits.py      the steps by which a run's files become visible, all at once
run_commit.py   whether a run counts, and its commit
runs.py         the committed runs, and the newest of them
ledger.py       what is known of a video, and whether it is labeled again
tables.py       the committed rows (table_files.py: reads and checks Parquet files)
compaction.py   few large files out of many small ones
verification.py whether everything holds (row_checks.py: row by row)
overview.py     what status shows
comparison.py   what diff shows
views.py        SQL views
lock/           one run at a time
"""
