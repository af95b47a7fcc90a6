"""Remote videos on local disk: the folder (folder.py), one sparse file (spooled_video.py), its blocks (blocks.py)."""
