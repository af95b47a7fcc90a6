"""Queries of the tests in DuckDB, each of which returns rows."""

from __future__ import annotations

import duckdb


def select(query: str) -> duckdb.DuckDBPyRelation:
    """Returns the relation that a query selects; `duckdb.sql` returns None for a statement without a result."""
    relation = duckdb.sql(query)
    assert relation is not None, f"the statement has no result: {query}"
    return relation
