"""The settings of all commands, each declared once, and the configuration of a run that they make.

declaration.py       how a setting is declared: its flag, default, help and bounds
values.py            texts, ranges and names
model_settings.py    settings of the model and of its clips
label_settings.py    the other settings of `label`, and the groups of all
command_settings.py  settings of the other commands (report_settings.py: of report, evaluate and diff)
config.py            LabelingConfig, the configuration of a run
bounds.py            the bounds of this machine
"""
