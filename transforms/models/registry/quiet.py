"""Keep TensorFlow's and TensorFlow Hub's log lines off stderr, before their own settings take effect."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_LEVELS = b"IWEF"
_LOG_LINE = re.compile(rb"([IWEF])\d{4} [^\n]*")
_NOTES = (b"WARNING: All log messages before absl::InitializeLog()", b"To enable the following instructions:")


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Drops log lines of native code below $TF_CPP_MIN_LOG_LEVEL; writes all other lines at the end of the block.

    Also hides setuptools' warning about how TensorFlow Hub compares versions.
    """
    level = os.environ.get(LEVEL_VARIABLE, "0")
    least = int(level) if level.isdecimal() else 0
    with contextlib.ExitStack() as stack:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, ValueError, AttributeError):  # there is no stderr to keep clean
            least = 0
        if not least:
            yield
            return
        stack.callback(os.close, kept)
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        written = stack.enter_context(tempfile.TemporaryFile())
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            written.seek(0)
            lines = [line for line in written.readlines() if not _is_noise(line, least)]
            with contextlib.suppress(OSError):
                os.write(2, b"".join(lines))


def _is_noise(line: bytes, least: int) -> bool:
    match = _LOG_LINE.match(line)
    return line.startswith(_NOTES) or (match is not None and _LEVELS.index(match[1]) < least)
