"""What the bytes of a packet show before decoding, codec by codec.

bitstream.py      the rules for a stream, by its codec
packet_rules.py   what such rules answer: random access points, disposable frames, fields
nal.py            codecs of NAL units; h264.py and h264_headers.py, hevc.py and hevc_headers.py
mpeg.py           MPEG-1, MPEG-2 and MPEG-4
bit_reader.py     bits and Exp-Golomb numbers
packet_order.py   how far apart frames can be stored and shown
display_order.py  whether pictures are shown in the order of their times
"""
