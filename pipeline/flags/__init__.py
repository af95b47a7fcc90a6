"""From the command line to a configuration.

parser.py        the argument parsers, made from the declared settings
label_parser.py  the parser of `label`
spelling.py      hyphens, underscores, and misspelled flags
beam_parser.py   which arguments belong to Beam
model_flags.py   the model that the flags name
command_line.py  a command line -> the command's flags and Beam's
options.py       the flags of `label` -> LabelingConfig
"""
