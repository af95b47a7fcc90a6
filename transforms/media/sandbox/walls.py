"""Whether a decoder process is confined as it must be: what it reports is checked, and missing walls are warned of."""

from __future__ import annotations

import functools
import logging

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.sandbox import wire
from reelbeam.transforms.media.sandbox.confinement import WALLS

_log = logging.getLogger(__name__)


def check(walls: object, allow_unconfined: bool) -> None:
    """Raises ConfigError where a process is not confined and must be; warns where it is confined in part."""
    if not isinstance(walls, list) or not set(walls) <= set(WALLS):
        raise wire.ProtocolError(f"confined_by is {wire.shown(repr(walls)[:100])}")
    if "seccomp" in walls:
        return
    if not walls and not allow_unconfined:
        raise ConfigError(
            "decoder processes cannot be confined here: the system allows neither seccomp filters nor Landlock, so a"
            " hostile video could read files and open connections; run on Linux 5.13 or later on x86-64 or aarch64, in"
            " a container that allows one of them, or pass --allow_unconfined_decoder"
        )
    _warn_of_missing_walls(bool(walls))


@functools.cache
def _warn_of_missing_walls(has_landlock: bool) -> None:
    """Says it once a process."""
    if has_landlock:
        _log.warning(
            "decoder processes run without a seccomp filter: Landlock keeps them from files and TCP, but a hostile "
            "video that takes over a decoder could use other system calls"
        )
    else:
        _log.warning(
            "decoder processes are not confined: a hostile video that takes over a decoder could read files and open "
            "connections"
        )
