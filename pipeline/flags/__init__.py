"""From the command line to a configuration.

parser.py        the argument parsers, made from the declared settings
label_parser.py  the parser of `label`
spelling.py      hyphens, underscores, and misspelled flags
beam_parser.py   which arguments belong to Beam
model_flags.py   the model that the flags name
options.py       a command line -> our flags and Beam's; our flags -> LabelingConfig
"""
