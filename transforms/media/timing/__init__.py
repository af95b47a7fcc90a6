"""Determine display times from packets.

timeline.py      the display times of a stream's frames
packet_times.py  the pts of its packets, and whether they are plausible
stream_clock.py  repaired display times for pts that are missing, jump or do not advance
clock.py         repairs times to one steady clock (pure)
steady_chain.py  selects the plausible readings of a clock (pure)
fields.py        joins field packets into frames
key_frames.py    lists the random access points
"""
