"""Write the generated files of templates/dataflow: the Flex Template's parameters and the workers' requirements.

    python -m tools.make_flex_template

Run it after changes to the flags of `reelbeam label` or to the requirements in setup.py. A test compares the files.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from reelbeam.pipeline import flex_template

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates" / "dataflow"

ONLY_FOR_TENSORFLOW = {"tensorflow", "tensorflow-hub", "tf-keras", "setuptools"}
"""The packages that a worker with an exported model does not need."""


def main() -> None:
    """Writes the files."""
    for name, text in files().items():
        (TEMPLATES / name).write_text(text, encoding="utf-8")
        print(TEMPLATES / name)


def files() -> dict[str, str]:
    """Returns the text of each generated file by name."""
    return {
        "metadata.json": json.dumps(flex_template.metadata(), indent=2, ensure_ascii=False) + "\n",
        "requirements-worker.txt": worker_requirements(),
    }


def worker_requirements() -> str:
    """Returns a requirements file: those of setup.py with the extra `gcp` and without TensorFlow."""
    required, extras = (_keyword(name) for name in ("install_requires", "extras_require"))
    kept = [line for line in required if _package(line) not in ONLY_FOR_TENSORFLOW]
    gcp = {_package(line): line for line in extras["gcp"]}
    lines = [gcp.get(_package(line), line) for line in kept]
    head = "# Written by tools/make_flex_template.py from setup.py: Reelbeam on Google Cloud, without TensorFlow.\n"
    return head + "".join(f"{line}\n" for line in lines)


def _package(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    if not found:
        raise ValueError(f"setup.py requires {requirement!r}, which does not name a package")
    return found[0]


def _keyword(name: str):  # type: ignore[no-untyped-def]
    """Returns the value of a keyword of the call of `setup` in setup.py, which must be a literal."""
    tree = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    (value,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == name)
    return ast.literal_eval(value)


if __name__ == "__main__":
    main()
