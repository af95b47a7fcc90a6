"""Pictures of labeled clips, as the model saw them: frames of a clip side by side, and the whole picture.

filmstrip.py    the dataclasses
"""
