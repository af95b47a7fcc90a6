"""A file may not name another one: nothing but the file itself is opened, neither on disk nor on the network."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import struct
import threading
from collections.abc import Callable, Iterator

import av
import av.error
import data_generation as generate
import pytest
from slow_cases import fast_first

from reelbeam.transforms import errors
from reelbeam.transforms.media.container import container, files
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.records import MediaInfo

Target = tuple[str, str]
"""URL of a server that must not be asked, path of a video that must not be read."""


class _Server(http.server.ThreadingHTTPServer):
    requests: list[str]


class _Handler(http.server.BaseHTTPRequestHandler):
    def handle_one_request(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.requests.append(self.rfile.readline().decode(errors="replace"))


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server on loopback that records each connection."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def secret(tmp_path: pathlib.Path) -> pathlib.Path:
    """A video of an unmistakable size, which only a playlist names."""
    (tmp_path / "secret").mkdir()
    return generate.make_video(tmp_path / "secret" / "0001.ts", 30, 25, 208, 144)


def hls(target: str) -> str:
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n"


def hls_with_key(target: str) -> str:
    return hls(target).replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF')


def dash(target: str) -> str:
    return f"""<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" minBufferTime="PT1S"
      mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>
      <AdaptationSet mimeType="video/mp4" contentType="video"><Representation id="1" bandwidth="1" codecs="avc1"
      width="96" height="72"><BaseURL>{target}</BaseURL><SegmentBase indexRange="0-1"/></Representation>
      </AdaptationSet></Period></MPD>"""


PLAYLISTS: dict[str, Callable[[str], str]] = {
    "list.m3u8": hls,
    "list.mp4": hls,
    "keyed.m3u8": hls_with_key,
    "manifest.mpd": dash,
    "list.ffconcat": lambda target: f"ffconcat version 1.0\nfile '{target}'\n",
    "concat.mp4": lambda target: f"ffconcat version 1.0\nfile {target}\n",
    "session.sdp": lambda _: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "rtsp.rtx": lambda target: target.replace("http:", "rtsp:") + "\n",
    "list.xspf": lambda target: f"<playlist><trackList><track><location>{target}</location></track>",
    "ref.smil": lambda target: f'<smil><body><video src="{target}"/></body></smil>',
    "index.asx": lambda target: f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "ref.wmv": lambda target: f"[Reference]\nRef1={target}\n",
}  # fmt: skip


def free(path: pathlib.Path) -> MediaInfo:
    return probe(path)


def confined(path: pathlib.Path) -> MediaInfo:
    return sandboxed.probe(path, DEFAULT_LIMITS)


@pytest.mark.parametrize("look", [free, confined])
@pytest.mark.parametrize("name", fast_first(PLAYLISTS, 3))
def test_playlists_lead_nowhere(
    tmp_path: pathlib.Path, server: _Server, secret: pathlib.Path, name: str, look: Callable[[pathlib.Path], MediaInfo]
) -> None:
    for target in (f"http://127.0.0.1:{server.server_port}/x.ts", str(secret), f"file:{secret}", "secret/0001.ts"):
        path = tmp_path / name
        path.write_text(PLAYLISTS[name](target), "utf-8")
        with pytest.raises(errors.NotAVideoError):
            look(path)
    assert server.requests == []


@pytest.mark.parametrize("name", ["list.m3u8", "keyed.m3u8", "list.ffconcat", "concat.mp4"])
def test_demuxers_of_playlists_could_open_nothing_either(
    tmp_path: pathlib.Path, server: _Server, secret: pathlib.Path, name: str
) -> None:
    """The second line of defence, on its own."""
    asked: list[str] = []

    def noting(url: str, flags: int, options: dict[str, str]) -> None:
        asked.append(url)
        container.refuse_to_open(url, flags, options)

    for target in (f"http://127.0.0.1:{server.server_port}/x.ts", "secret/0001.ts"):
        (tmp_path / name).write_text(PLAYLISTS[name](target), "utf-8")
        with contextlib.closing(files.open_file(str(tmp_path / name))) as file, pytest.raises(errors.MediaError):
            container.open_container(file, container.DEMUXERS + " hls concat", noting)
    assert bool(asked) == name.endswith(".m3u8")  # concat refuses by itself
    assert server.requests == []


@pytest.mark.parametrize("look", [free, confined])
def test_names_that_are_patterns_or_addresses_are_names(
    tmp_path: pathlib.Path,
    server: _Server,
    secret: pathlib.Path,
    look: Callable[[pathlib.Path], MediaInfo],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = generate.make_video(tmp_path / "plain.ts", 10).read_bytes()
    monkeypatch.chdir(tmp_path)
    for name in (
        "secret%04d.ts", "concat:secret|x.ts",
        "subfile,,start,0,end,99,,:x.ts", "crypto:x.ts", "pipe:0", "-", "data:,x",
        f"http:127.0.0.1:{server.server_port}", "file:x.ts", "lavfi:testsrc", "tee:x.ts", "fd:", "cache:x.ts",
    ):  # fmt: skip
        path = tmp_path / name
        path.write_bytes(plain)
        assert look(path).num_frames == 10
        assert look(pathlib.Path(name)).num_frames == 10
        path.unlink()
        with pytest.raises(errors.VideoNotFoundError):
            look(pathlib.Path(name))
    pattern = tmp_path / "secret" / "%04d.ts"
    with pytest.raises(errors.VideoNotFoundError):
        look(pattern)
    assert server.requests == []


@pytest.mark.parametrize("look", [free, confined])
def test_pipes_and_devices_are_not_waited_for(
    tmp_path: pathlib.Path, look: Callable[[pathlib.Path], MediaInfo]
) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", pathlib.Path("/dev/zero"), pathlib.Path("/dev/tty0"), tmp_path):
        with pytest.raises((errors.NotAVideoError, errors.UnreadableVideoError, errors.VideoNotFoundError)):
            look(path)


@pytest.mark.parametrize("look", [free, confined])
def test_external_tracks_of_mov_are_not_opened(
    tmp_path: pathlib.Path, look: Callable[[pathlib.Path], MediaInfo], secret: pathlib.Path
) -> None:
    movie = generate.make_video(tmp_path / "movie.mov", 10)
    external = tmp_path / "external.mov"
    external.write_bytes(with_external_track(movie.read_bytes(), str(secret)))
    seen: list[str] = []

    def noting(url: str, flags: int, options: dict[str, str]) -> None:
        seen.append(url)
        raise PermissionError(url)

    # FFmpeg follows it when it is allowed to, so the file is valid.
    with pytest.raises((av.error.FFmpegError, PermissionError)):
        av.open(external.open("rb"), io_open=noting, container_options={"enable_drefs": "1", "use_absolute_path": "1"})
    assert [os.path.basename(url) for url in seen] == [secret.name]
    with pytest.raises(errors.NoFramesError):
        look(external)


def with_external_track(movie: bytes, target: str) -> bytes:
    """Returns a MOV whose index, at the end of the file, says that its track's data are in another file."""
    path = target.encode()
    record = struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2) + b"\xff\xff\0\0"
    name = os.path.basename(target).encode()
    alias = b"\0" * 10 + b"\0" * 28 + b"\0" * 12 + bytes([len(name)]) + name.ljust(63, b"\0")
    alias += b"\0" * 16 + struct.pack(">HH", 1, 1) + b"\0" * 16 + record
    entry = struct.pack(">I4sI", len(alias) + 12, b"alis", 0) + alias
    start = movie.index(b"dref", movie.index(b"minf")) + 12  # past the name, the version and the count
    (old,) = struct.unpack_from(">I", movie, start)
    changed = bytearray(movie[:start] + entry + movie[start + old :])
    for atom in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = start if atom == b"dref" else movie.index(b"dref")
        at = movie.rindex(atom, 0, at + 4) - 4
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", changed, at)[0] + len(entry) - old)
    return bytes(changed)
