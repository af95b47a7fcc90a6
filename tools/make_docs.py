"""Write the generated blocks of docs/: reference tables from the code, figures from benchmarks/results.

    python -m tools.make_docs            writes them
    python -m tools.make_docs --check    exits with 1 if a page is stale; a test does the same

A block is between two comments: `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import re
import sys
from collections.abc import Callable

from benchmarks import accuracy_tables, doc_tables, stream_tables
from tools import docs_api, docs_layout, docs_reference

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))

BLOCKS: dict[str, Callable[[], str]] = {
    **{f"flags {name}": functools.partial(docs_reference.flags, name) for name in docs_reference.PARSERS},
    **{f"columns {name}": functools.partial(docs_reference.columns, name) for name in ("videos", "clips", "errors")},
    "row codes": docs_reference.row_codes,
    "run codes": docs_reference.run_codes,
    "counters": docs_reference.counters,
    "doctor checks": docs_reference.doctor_checks,
    "api": docs_api.reference,
    "rooms": docs_layout.rooms,
    "steps": docs_layout.steps,
    "import rules": docs_layout.import_rules,
    "models": doc_tables.models_table,
    "inference": doc_tables.inference_table,
    "decoding": doc_tables.decoding_table,
    "precision": doc_tables.precision_table,
    "warm-up": stream_tables.warm_up_table,
    "warm-up verdict": stream_tables.warm_up_verdict,
    "short rests": stream_tables.short_rests_table,
    "layers": doc_tables.layers,
    "whole program": doc_tables.whole_program,
    "start": doc_tables.startup_cost,
    "short videos": doc_tables.short_videos,
    "ledger": doc_tables.ledger_table,
    "report": doc_tables.report_table,
    "diff": doc_tables.diff_cost,
    "drift": doc_tables.drift_table,
    "drift alarms": doc_tables.drift_alarms,
    "parity": doc_tables.parity,
    "demo accuracy": doc_tables.demo_accuracy,
    "accuracy": accuracy_tables.accuracy_table,
    "crops": accuracy_tables.crops_table,
    "accuracy verdict": accuracy_tables.accuracy_verdict,
    "novelty": accuracy_tables.novelty_table,
}
"""The function that generates each block, by its name."""

_BLOCK = re.compile(r"<!-- generated: (.+?) -->\n.*?<!-- end -->", re.DOTALL)


def main() -> int:
    """Writes or checks the pages; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args().check
    stale = stale_pages()
    for page, text in stale.items():
        print(f"{page.relative_to(ROOT)} {'is stale: run python -m tools.make_docs' if is_check else 'written'}")
        if not is_check:
            page.write_text(text, "utf-8")
    return int(is_check and bool(stale))


def stale_pages() -> dict[pathlib.Path, str]:
    """Returns the pages whose blocks are not fresh, with the text that they should have.

    Raises:
      KeyError: a page has a block of an unknown name.
    """
    texts = {page: page.read_text("utf-8") for page in PAGES}
    fresh = {page: with_fresh_blocks(text) for page, text in texts.items()}
    return {page: text for page, text in fresh.items() if text != texts[page]}


def with_fresh_blocks(text: str) -> str:
    """Returns the text of a page with its blocks generated again."""
    return _BLOCK.sub(lambda match: f"<!-- generated: {match[1]} -->\n{BLOCKS[match[1]]()}\n<!-- end -->", text)


def block_names(text: str) -> list[str]:
    """Returns the names of the blocks of a page."""
    return _BLOCK.findall(text)


if __name__ == "__main__":
    sys.exit(main())
