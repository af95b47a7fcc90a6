"""Write docs/doctor.schema.json, the JSON Schema of `reelbeam doctor --json`.

python -m tools.make_doctor_schema
"""

from __future__ import annotations

import json
import pathlib

from reelbeam.pipeline.doctor.findings import report_schema

SCHEMA = pathlib.Path(__file__).parents[1] / "docs/doctor.schema.json"


def schema_text() -> str:
    """Returns the text of the file."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
