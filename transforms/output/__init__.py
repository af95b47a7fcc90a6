"""The output: a folder of Parquet files that runs add to, as a contract.

run_files.py         the paths and the writing of a run's files
run_document.py      the run document as dataclasses (run_counts.py: its parts)
commits.py           the steps that make a run's files visible
run_commit.py        whether a run counts, and its commit
documents.py         the JSON documents, which are not trusted
runs.py              the committed runs, and the newest of them
ledger.py            the labeled videos, and which ones are labeled again
tables.py            the committed rows (table_files.py: reads and checks Parquet files; row_keys.py: hashes of rows;
                     arrays.py: types of arrays)
compaction.py        the rows of many small files in few large ones
sql/                 SQL views
label_thresholds.py  the file of lowest scores that makes a label count
inspection/          reports on an output as a whole
report_content/      the content of the HTML report
comparison/          the differences of two runs or two outputs
lock/                the lock of an output: one run at a time
"""
