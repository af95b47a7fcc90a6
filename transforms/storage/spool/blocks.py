"""Track which blocks of a spooled file are on disk, and plan what to fetch next. Pure."""

from __future__ import annotations

_MAX_READ_BLOCKS = 64


class Blocks:
    """The blocks of a file that are on disk, and those that are being fetched."""

    def __init__(self, num_blocks: int) -> None:
        self._are_there = bytearray(num_blocks)
        self._on_their_way: set[int] = set()

    def run_around(self, first: int) -> tuple[int, int]:
        """Returns the bounds of the longest run of blocks on disk that contains block `first`."""
        end = self._are_there.find(0, first)
        return self._are_there.rfind(0, 0, first) + 1, len(self._are_there) if end < 0 else end

    def claim(self, first: int, stop: int) -> tuple[int, int] | None:
        """Reserves the blocks to fetch next for the caller; None if none is missing, or others are fetching them.

        A request that continues a run of blocks on disk indicates a sequential reader. It gets extra blocks: a quarter
        of the run's length, so that reading a part fetches at most a quarter more. A request is at most 16 MiB.
        """
        missing = (k for k in range(first, stop) if not self._are_there[k] and k not in self._on_their_way)
        start = next(missing, None)
        if start is None:
            return None
        ahead = min((start - self.run_around(start)[0]) // 4, _MAX_READ_BLOCKS)
        end = start
        while end < min(max(stop, start + ahead), len(self._are_there), start + _MAX_READ_BLOCKS):
            if self._are_there[end] or end in self._on_their_way:
                break
            end += 1
        self._on_their_way |= set(range(start, end))
        return start, end

    def settle(self, claimed: tuple[int, int], are_there: bool) -> None:
        """Ends a reservation."""
        self._on_their_way -= set(range(*claimed))
        if are_there:
            self._are_there[slice(*claimed)] = b"\1" * (claimed[1] - claimed[0])

    def is_there(self, first: int, stop: int) -> bool:
        """Returns whether all of these blocks are on disk."""
        return self._are_there.find(0, first, stop) < 0
