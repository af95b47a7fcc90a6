"""Reports for people and programs after a run.

summary.py            the tables on the terminal
summary_json.py       the line of --summary_json
cost.py               the cost of runs, as text
reasons.py            why videos are selected or skipped, as text
output_tables.py      the tables of status and verify (difference_tables.py: of diff)
evaluation_tables.py  the tables of evaluate (evaluation_texts.py: its sentences)
html_report.py        the HTML report of an output: from its rows to the page
accuracy.py           the part of a report about accuracy
report_place.py       where a report is, and whether it can be written there
run_report.py         the same at the end of `label`
"""
