"""When frames are shown, as packets say it.

timeline.py      the times of a stream's frames
packet_times.py  the times of its packets, and whether they can be right
stream_clock.py  display times where they cannot: missing, jumping or standing still
clock.py         such times on one steady clock (pure)
steady_chain.py  which readings of a clock to believe (pure)
fields.py        frames of which a stream stores the fields one by one
key_frames.py    where decoding can start
"""
