"""Modules of others that hide Reelbeam's packages: a file `transforms.py` in the working directory, for instance."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

_HOME = pathlib.Path(__file__).resolve().parents[1]


def require_own(package: str) -> None:
    """Ends the program with one line and exit code 2 where a package of another place would be imported."""
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    found = next((pathlib.Path(place).resolve() for place in places if place), None)
    if found in (_HOME / package, _HOME / package / "__init__.py"):
        return
    print(
        f"reelbeam: {found} hides Reelbeam's package {package!r} in {_HOME}: rename it, start Reelbeam from another "
        "folder, or take its folder out of PYTHONPATH",
        file=sys.stderr,
    )
    sys.exit(2)
