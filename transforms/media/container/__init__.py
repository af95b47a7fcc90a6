"""Open a file and choose its video stream.

files.py           local files as FFmpeg reads them: already open, or still being fetched
sparse_reading.py  describes a remote MP4 without fetching all of it
container.py       opens a file
stream_choice.py   chooses the main video stream
boxes.py           MP4 metadata that FFmpeg does not expose (ebml.py: Matroska, description.py: any format)
decoders.py        the codecs that this FFmpeg decodes
encryption.py      detects encrypted streams
error_text.py      explains FFmpeg's errors
"""
