"""Opening a file and choosing its video stream.

files.py          local files as FFmpeg gets them: opened already, or still being fetched
container.py      opens a file
stream_choice.py  which of its streams is the moving picture
boxes.py          what FFmpeg does not expose of MP4 files (ebml.py: of Matroska, description.py: of any)
encryption.py     whether a stream is encrypted
error_text.py     what FFmpeg's errors mean
"""
