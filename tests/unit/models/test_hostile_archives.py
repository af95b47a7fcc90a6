"""Archives of models that claim more than they hold: each is refused before it fills the memory."""

from __future__ import annotations

import gzip
import io
import pathlib
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from typing import Literal

import pytest
from model_hub import FILES, make_archive

from reelbeam.transforms.models.registry import unpacking

CLAIMED = 512 << 20
ZEROS = bytes(1 << 20)
TOO_LARGE = "headers that are too large"


def header(kind: bytes, size: int, name: str = "././@LongLink") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf()


def small_header(kind: bytes, text: bytes) -> bytes:
    return header(kind, len(text)) + text.ljust(-len(text) // 512 * -512, b"\0")


def sparse_map() -> bytes:
    """Returns the header of a sparse file, whose map goes on in the blocks after it."""
    data = bytearray(header(tarfile.GNUTYPE_SPARSE, 0, "model"))
    data[482] = 1
    data[148:156] = f"{sum(data[:148]) + 8 * 32 + sum(data[156:512]):06o}\0 ".encode()
    return bytes(data)


def records(count: int) -> bytes:
    return b"".join(f"13 k{number:06d}=x\n".encode() for number in range(count))


EXTENDED_BLOCK = (b"00000000001\0" * 42)[:504] + b"\1" + bytes(7)
ARCHIVES: dict[str, tuple[list[bytes], str]] = {
    "a header of a file": ([header(tarfile.XHDTYPE, CLAIMED)], TOO_LARGE),
    "a header of a Solaris file": ([header(tarfile.SOLARIS_XHDTYPE, CLAIMED)], TOO_LARGE),
    "a global header": ([header(tarfile.XGLTYPE, CLAIMED)], TOO_LARGE),
    "a long name": ([header(tarfile.GNUTYPE_LONGNAME, CLAIMED)], TOO_LARGE),
    "a long target of a link": ([header(tarfile.GNUTYPE_LONGLINK, CLAIMED)], TOO_LARGE),
    "the map of a sparse file": ([sparse_map(), *[EXTENDED_BLOCK * 2048] * 64], TOO_LARGE),
    "many headers of a file": ([small_header(tarfile.XHDTYPE, records(40_000))] * 9, TOO_LARGE),
    "headers within headers": ([header(tarfile.XHDTYPE, 0)] * 1900, "too many headers in a row"),
    "global headers of many keys": (
        [small_header(tarfile.XGLTYPE, records(101)), header(tarfile.REGTYPE, 0, "a")],
        "more than 100 global headers",
    ),
    "a long path": (
        [small_header(tarfile.GNUTYPE_LONGNAME, b"a" * 5000 + b"\0"), header(tarfile.REGTYPE, 0, "a")],
        "a path of 5000 characters",
    ),
}
UNPACK = """
import pathlib, resource, sys
from reelbeam.transforms.models.registry import unpacking
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with open(sys.argv[1], "rb") as stream:
        unpacking.unpack(stream, pathlib.Path(sys.argv[2]))
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def write(path: pathlib.Path, parts: Iterable[bytes], fill: bool) -> None:
    with gzip.open(path, "wb", 1) as file:
        for part in parts:
            file.write(part)
        for _ in range(CLAIMED >> 20 if fill else 0):
            file.write(ZEROS)


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_whose_headers_fill_the_memory_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    parts, message = ARCHIVES[name]
    path = tmp_path / "m.tar.gz"
    write(path, parts, fill=len(parts) == 1)
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", UNPACK, str(path), str(tmp_path / "out")]
    refusal, grown_mib = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert refusal == message
    assert int(grown_mib) < 64


def test_a_stream_that_decompresses_to_too_much_is_refused(tmp_path: pathlib.Path) -> None:
    """Its files are small; their headers count, too."""
    empty_file = small_header(tarfile.XHDTYPE, records(40_000)) + header(tarfile.REGTYPE, 0, "b")
    data = header(tarfile.REGTYPE, 2 << 20, "a") + 2 * ZEROS + 3 * empty_file
    with pytest.raises(ValueError, match=f"^more than {3 << 20} bytes$"):
        unpacking.unpack(io.BytesIO(gzip.compress(data)), tmp_path, max_bytes=3 << 20)


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_an_archive_with_long_paths_is_unpacked(
    format_: int, mode: Literal["w:gz", "w"], tmp_path: pathlib.Path
) -> None:
    buffer = io.BytesIO()
    name = "/".join(["folder" * 20] * 3) + "/\u20ac"
    with tarfile.open(fileobj=buffer, mode=mode, format=format_) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(ZEROS) * 3
        archive.addfile(member, io.BytesIO(ZEROS * 3))
    buffer.seek(0)
    unpacking.unpack(buffer, tmp_path)
    assert (tmp_path / name).read_bytes() == ZEROS * 3


@pytest.mark.parametrize("cut", [1, 5, 700, 100_000])
def test_a_damaged_archive_is_one_error(cut: int, tmp_path: pathlib.Path) -> None:
    data = make_archive(FILES)
    for damaged in (data[:cut], data[:-1000], data[:20] + bytes(50) + data[70:], b"\x1f\x8b" + bytes(600)):
        with pytest.raises(unpacking.DamagedArchiveError, match="not a tar archive, or damaged"):
            unpacking.unpack(io.BytesIO(damaged), tmp_path)
