"""Reads videos: which instants make a clip, what a file holds, and its frames as the model wants them.

The only package that imports `av`. It knows neither Beam nor models and works as a plain library:

    media = probe(path)                                            # headers and packet times
    spans = plan_clip_spans(media.duration_seconds, sampling)      # exact instants, no file needed
    for span, frames in decode_clips(path, media, spans, geometry):
        ...                                                        # uint8 [T, size, size, 3]

    sampling.py       which instants of a video its clips show (pure)
    segments.py       how a long video is cut into units of work (pure)
    schedule.py       which clip is waiting for the frame at hand (pure)
    limits.py         how much a video may ask for
    files.py          local files as FFmpeg gets them: opened already; and such as are still on their way here
    container.py      opening a file
    stream_choice.py  which of its streams is the moving picture
    boxes.py          what FFmpeg does not tell of MP4 files (ebml.py: of Matroska, description.py: of any)
    encryption.py     whether a stream is encrypted
    error_text.py     what FFmpeg's errors mean
    timeline.py       when its frames are shown, as the packets tell it
    packet_times.py   the times of its packets, and whether they can be right
    stream_clock.py   display times where they cannot: missing, jumping or standing still
    clock.py          such times on one steady clock (pure)
    steady_chain.py   which readings of a clock to believe (pure)
    fields.py         frames of which a stream stores the fields one by one
    packet_order.py   how far apart frames can be stored and shown
    bitstream.py      what a packet's bytes tell before decoding, codec by codec (packet_rules.py, nal_rules.py,
                      h264_rules.py, h264_headers.py, hevc_rules.py, hevc_headers.py, mpeg_rules.py, bit_reader.py)
    display_order.py  whether pictures are shown in the order of their times
    key_frames.py     where decoding can start
    probe.py          MediaInfo
    reader.py         packets from a key frame on, wherever seeks lead
    packet_plan.py    which packets have to be decoded (pure)
    fast_source.py    the wanted frames, with as little decoding as gives the very same ones
    full_source.py    every frame
    cropping.py       what a container cuts off the edges of its frames
    picture.py        a decoded frame -> upright RGB at the model's size
    assembly.py       frames -> clips
    losses.py         why clips are lost, in words
    decoder.py        clips out of a file: the fast way, and the full one where that isn't proven

The same two functions in a sandbox, for untrusted files:

    sandbox.py          probe and decode_clips, each call carried out by a process of its own
    decoder_process.py  the owner's side of a process
    sandbox_child.py    the process's side
    fork_server.py      the clean process that forks these processes
    rehearsal.py        what that process does before, so that they find it done
    spawn.py            its owner's side
    wire.py             the messages between a process and its owner
    replies.py          what the process may answer, checked
    ring.py             the memory in which clips are handed over
    deadline.py         how long the process may take
    confinement.py      what it gives up before it reads a file
    seccomp.py          the system calls that it may make
    landlock.py         the second wall: no files, no TCP, no signals
"""
