"""The heap is told to give blocks back for a while, where it can be told."""

from __future__ import annotations

import ctypes
import types

import pytest

from pipeline.heap import blocks_given_back


def test_the_threshold_is_low_inside_and_at_its_highest_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = types.SimpleNamespace(mallopt=lambda *option: calls.append(option))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    with pytest.raises(KeyError), blocks_given_back():
        assert calls == [(-3, 1 << 20)]
        raise KeyError
    assert calls == [(-3, 1 << 20), (-3, 32 << 20)]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: types.SimpleNamespace())
    with blocks_given_back():
        pass
