"""Reads headers bit by bit. Pure."""

from __future__ import annotations


class BitReader:
    """Reads bits, the highest bit of each byte first; returns zeros past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    @property
    def left(self) -> int:
        """The number of bits left; negative after a read past the end."""
        return self._left

    def take(self, count: int) -> int:
        """Returns the next `count` bits as an unsigned number."""
        self._left -= count
        value = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return value & ((1 << count) - 1)

    def take_golomb(self) -> int:
        """Returns the next Exp-Golomb number, `ue(v)` of ITU-T H.264, 9.1."""
        zeros = 0
        while zeros < 32 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def take_signed_golomb(self) -> int:
        """Returns the next signed Exp-Golomb number, `se(v)` of ITU-T H.264, 9.1.1."""
        code = self.take_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
