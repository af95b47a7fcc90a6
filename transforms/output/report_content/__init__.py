"""The content of `reelbeam report`: what is in an output, as dataclasses. No pictures and no HTML.

content.py       the dataclasses of a report (shown_clips.py, shares.py, label_runs.py: those of its parts)
shown_rows.py    the rows that a report shows, read batch by batch
make_content.py  makes the content of a report (near_names.py: what a URI without a row may have meant)
video_facts.py   sums over the videos, and failures
clip_table.py    a few numbers of each clip
clip_choice.py   the clips on the contact sheets
corpus.py        shares and histograms (media_names.py: of picture sizes and containers)
timelines.py     the labels of videos over time
chosen_rows.py   the complete rows of what is shown
"""
