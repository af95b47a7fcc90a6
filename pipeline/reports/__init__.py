"""What a person or a program reads after a run.

summary.py        the table on the terminal
summary_json.py   the line of --summary_json
reasons.py        why videos are selected or skipped, as text
output_tables.py  the tables of status, verify and diff
"""
