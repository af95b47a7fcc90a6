"""The commands of the command line, one file a command.

label.py     label videos
plan.py      print what a run would do (planning.py: what it would select, estimate.py: what that would
             cost)
models.py    list, fetch and export models
probe.py     print the streams of a file, or the error that a run would record
doctor.py    check this machine and this installation
parsing.py   the flags of models and output
output.py    status, verify, diff, sql and compact: everything that reads an output
evaluate.py  measure how right the labels of an output are
report.py    write the HTML report of an output
"""
