"""Reads videos: which instants make a clip, what a file holds, and its frames as the model wants them.

The only package that imports `av`. It knows neither Beam nor models and works as a plain library:

    media = probe(path)                                            # headers and packet times
    spans = plan_clip_spans(media.duration_seconds, sampling)      # exact instants, no file needed
    for span, frames in decode_clips(path, media, spans, geometry):
        ...                                                        # uint8 [T, H, W, 3]

    sampling/   which instants clips show (pure)
    container/  opening a file, choosing a stream
    codecs/     what packets show before decoding
    timing/     when frames are shown
    decoding/   probe and decode_clips
    sandbox/    the same two functions for untrusted files, each call in a process of its own
    limits.py   how much a video may ask for
"""
