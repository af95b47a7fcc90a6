"""Reports for people and programs after a run.

summary.py            the tables on the terminal
summary_json.py       the line of --summary_json
cost.py               the CPU time of runs, as text
reasons.py            why videos are selected or skipped, as text
output_tables.py      the tables of status and verify (difference_tables.py: of diff)
evaluation_tables.py  the tables of evaluate (evaluation_texts.py: its sentences)
"""
