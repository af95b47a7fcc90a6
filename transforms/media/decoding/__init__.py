"""Decode clips from a file, in this process.

probe.py          MediaInfo, from headers and packets
stats.py          what decoding has cost, and how it went
decoder.py        decodes clips: by the fast path, and by a full decode if the fast path is not proven
reader.py         reads packets from a random access point on, and verifies each seek
packet_plan.py    plans which packets to decode (pure)
packet_ranges.py  groups a request into decode ranges
fast_source.py    the fast path: decodes only what the wanted frames need
full_source.py    the full decode: every frame
cropping.py       the container's cropping
geometry.py       which part of a picture the model gets, and at which size (pure)
picture.py        converts a decoded frame to upright RGB at the model's size
model_input.py    instants, scale and crop together, and how to read them from a run document
assembly.py       assembles frames into clips
losses.py         explains why clips are lost
"""
