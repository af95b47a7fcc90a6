"""The command `reelbeam`: starts the package `pipeline` of this very installation.

A module of its own, with a name that no other project has: where somebody's `pipeline.py` is imported instead of
Reelbeam's package, nothing in that package can say so.
"""

import importlib.util
import pathlib
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command; ends with one line and exit code 2 where another module hides a package of Reelbeam."""
    home = pathlib.Path(__file__).resolve().parent
    spec = importlib.util.find_spec("pipeline")
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    found = next((pathlib.Path(place).resolve() for place in places if place), None)
    if found != home / "pipeline" / "__init__.py":
        print(
            f"reelbeam: {found} hides Reelbeam's package 'pipeline' in {home}: rename it, or take its folder out of "
            "PYTHONPATH",
            file=sys.stderr,
        )
        sys.exit(2)
    import pipeline.__main__  # noqa: F401  # runs the command and ends the program

    raise AssertionError("the command has ended the program")
