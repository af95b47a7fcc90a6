"""Decompress an archive from a stream, with a limit on what it decompresses to."""

from __future__ import annotations

import gzip
import io
from typing import IO, Any, Protocol, cast

_GZIP_MAGIC = b"\x1f\x8b"


class Readable(Protocol):
    """The stream of an archive."""

    def read(self, size: int, /) -> bytes:
        """Returns up to `size` bytes."""
        ...


class LimitedStream:
    """The content of a stream, decompressed where it is compressed with gzip, up to a limit.

    `tarfile` reads whatever size a header claims into memory, and a few MB of gzip decompress to GiB. So its user
    allows a number of bytes for each step.
    """

    def __init__(self, stream: Readable, most_bytes: int) -> None:
        """Begins with nothing allowed.

        Args:
          stream: the compressed or plain content.
          most_bytes: the maximum size of the whole content.
        """
        source = io.BufferedReader(_Raw(stream))
        is_compressed = source.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        self._content: IO[bytes] = cast(IO[bytes], gzip.GzipFile(fileobj=source)) if is_compressed else source
        self._num_bytes = 0
        self._most_bytes = most_bytes
        self._end = 0

    def allow(self, num_bytes: int) -> None:
        """Allows that many bytes from here on, within the limit of the whole."""
        self._end = min(self._num_bytes + num_bytes, self._most_bytes)

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes.

        Raises:
          ValueError: this exceeds what is allowed.
          EOFError, gzip.BadGzipFile, zlib.error: the content is truncated or damaged.
        """
        data = self._content.read(size)
        self._num_bytes += len(data)
        if self._num_bytes > self._most_bytes:
            raise ValueError(f"more than {self._most_bytes} bytes")
        if self._num_bytes > self._end:
            raise ValueError("headers that are too large")
        return data


class _Raw(io.RawIOBase):
    """A stream as `io.BufferedReader` reads it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
