"""Decoding of untrusted files: `probe` and `decode_clips`, each call in a confined process of its own.

sandboxed.py        the two functions
decoder_process.py  the parent's side of a process
child.py            the process's side
fork_server.py      the clean process that forks these processes (spawn.py: its parent's side)
rehearsal.py        what it does once, so that its children find it done
wire.py             the messages between a process and its parent
replies.py          what the process may answer, checked
ring.py             the memory in which clips are handed over
deadline.py         how long the process may take
confinement.py      what it gives up before it reads a file
walls.py            whether that was enough
seccomp.py          the system calls that it may make
landlock.py         the second wall: no files, no TCP, no signals
"""
