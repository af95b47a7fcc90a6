"""Write docs/run.schema.json, the JSON Schema of an output's runs/*.json, from the dataclasses of the run document.

python -m tools.make_run_schema
"""

from __future__ import annotations

import json
import pathlib

from reelbeam.transforms.output.run_document import run_schema

SCHEMA = pathlib.Path(__file__).parents[1] / "docs/run.schema.json"


def schema_text() -> str:
    """Returns the text of the file."""
    return json.dumps(run_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
