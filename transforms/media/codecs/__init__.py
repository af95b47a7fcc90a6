"""Inspect packets before decoding, codec by codec.

bitstream.py      chooses the rules for a stream by its codec
packet_rules.py   the interface of the rules: random access points, disposable frames, fields
nal.py            codecs made of NAL units; h264.py and h264_headers.py, hevc.py and hevc_headers.py
mpeg.py           MPEG-1, MPEG-2 and MPEG-4
bit_reader.py     bits and Exp-Golomb numbers
packet_order.py   bounds on the distance between decoding order and display order
display_order.py  checks pts against the display order of the bitstream
"""
