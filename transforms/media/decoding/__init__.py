"""From a file to clips, in this process.

probe.py        MediaInfo, from headers and packets
decoder.py      clips out of a file: the fast path, and the full one where that is not proven
reader.py       packets from a random access point on, wherever seeks lead
packet_plan.py  which packets have to be decoded (pure)
stretches.py    the decode ranges of a request
fast_source.py  the wanted frames, with as little decoding as gives the very same ones
full_source.py  every frame
cropping.py     what a container crops
picture.py      a decoded frame -> upright RGB at the model's size
assembly.py     frames -> clips
losses.py       why clips are lost, as text
"""
