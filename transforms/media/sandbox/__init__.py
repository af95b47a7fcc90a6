"""Decoding of untrusted files: `probe` and `decode_clips`, each call in a confined process of its own.

sandboxed.py        the two functions
decoder_process.py  the parent's side of a decoder process
child.py            the decoder process itself
fork_server.py      the clean process that forks decoder processes
spawn.py            the parent's side of the fork server
rehearsal.py        the warm-up of the fork server
protocol.py         the messages between a decoder process and its parent
responses.py        checks of the decoder process's messages
failures.py         errors for decoder processes that crash or time out
ring.py             the shared memory for clips
deadline.py         time limits of a request
confinement.py      the privileges that a decoder process drops
seccomp.py          the system calls that it may make
landlock.py         the second restriction: no files, no TCP, no signals
"""
