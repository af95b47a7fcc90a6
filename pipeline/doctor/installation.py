"""Python, packages and codecs."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.subject import Subject

_PACKAGE = "reelbeam"


def check_python(_: Subject) -> Finding:
    """Compares the version of Python with the one that this package requires."""
    found = f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()}, {sys.platform})"
    wanted = importlib.metadata.metadata(_PACKAGE)["Requires-Python"]
    fits = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    if not fits or sys.platform != "linux":
        return Finding("error", found, f"Python {wanted} on Linux", "install that version and make a new environment")
    return ok(found)


def check_packages(_: Subject | None = None) -> Finding:
    """Compares installed packages with the versions that this package requires."""
    required = [Requirement(line) for line in importlib.metadata.requires(_PACKAGE) or ()]
    needed = [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return compare_versions(needed)


def compare_versions(needed: list[Requirement]) -> Finding:
    """Returns whether packages are installed in the versions that are required."""
    found, wrong = [], []
    for each in needed:
        version = _installed(each.name)
        if version is None:
            wrong.append((f"{each.name} is missing", each))
        elif not each.specifier.contains(version, prereleases=True):
            wrong.append((f"{each.name} {version}", each))
        elif each.specifier:
            found.append(f"{each.name} {version}")
    if not wrong:
        return ok(", ".join(found))
    expected = ", ".join(str(each) for _, each in wrong)
    arguments = " ".join(f"'{each}'" for _, each in wrong)
    return Finding("error", ", ".join(text for text, _ in wrong), expected, f"pip install {arguments}")


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_codecs(_: Subject) -> Finding:
    """Looks up FFmpeg's decoders of common codecs."""
    from reelbeam.transforms.media.container.container import decoder_version
    from reelbeam.transforms.media.container.decoders import DECODERS, missing_codecs

    missing = missing_codecs()
    here = [codec for codec in DECODERS if codec not in missing]
    found = f"{decoder_version()}: {', '.join(here)}"
    if missing:
        return Finding(
            "warning",
            f"{found}; not {', '.join(missing)}",
            "decoders of all common codecs",
            "reinstall PyAV from its wheel: pip install --force-reinstall --only-binary :all: av",
        )
    return ok(found)
