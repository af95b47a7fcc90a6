"""From the command line to a configuration.

definitions.py  every flag: its name, help, default and check
parser.py       the argument parsers, and what they print
beam_parser.py  which arguments belong to Beam
options.py      a command line -> our flags and Beam's; our flags -> the configuration
"""
