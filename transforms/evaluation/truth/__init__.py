"""The truth that a user provides: which labels are right, by the names of the model and for the videos of an output.

truth_file.py     reads a truth file
truth_rows.py     the rows of each kind of file
truth_columns.py  finds the columns by their names
label_names.py    joins the labels of a truth file to those of the model
matching.py       matches the videos of a truth file to those of an output
video_names.py    the forms of a URI or a file name that are compared
pairing.py        pairs names by keys
answers.py        the right labels of a video, and of a part of it
"""
