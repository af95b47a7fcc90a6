"""SQL views that apply thresholds.

    label_thresholds  label, threshold; the row without a label has the threshold of all others
    passed_labels     a row for each label of a video that passes; label_rank is 1 for the top label of the video,
                      which is the one whose precision `reelbeam evaluate` promises
    video_answers     a row for each current video: its answer is 'recognized', 'nothing recognized' or 'failed'; with
                      the top label that passes, and its scores

A label passes if its score is at least its threshold, and the threshold is below 1.
"""

from __future__ import annotations

from reelbeam.transforms.output.sql.dialects import INPUT, Syntax
from reelbeam.transforms.records import NOTHING_RECOGNIZED, LabelThresholds
from reelbeam.transforms.schemas import RANGE

_THRESHOLD = "coalesce(own.threshold, others.threshold)"
_ROW = "l.label AS label, l.score AS score, l.max_score AS max_score"
_SAME_INPUT = " AND ".join(
    ["p.video_uri = v.video_uri", *(f"coalesce(p.{name}, -1) = coalesce(v.{name}, -1)" for name in RANGE)]
)


def with_thresholds(table: str, label: str, syntax: Syntax) -> str:
    """Returns a table joined with the threshold of each label.

    Args:
      table: the table of a FROM clause.
      label: the column with the label.
      syntax: the dialect.
    """
    view = f"{syntax.prefix}label_thresholds"
    return (
        f"{table}\n    LEFT JOIN {view} AS own ON own.label = {label}\n"
        f"    CROSS JOIN (SELECT threshold FROM {view} WHERE label IS NULL) AS others"
    )


def passes(score: str, syntax: Syntax) -> str:
    """Returns the condition that a score passes, in a table of `with_thresholds`."""
    return f"CAST({score} AS {syntax.number_type}) >= {_THRESHOLD} AND {_THRESHOLD} < 1"


def threshold_views(thresholds: LabelThresholds, syntax: Syntax) -> str:
    """Returns the statements, each terminated by a semicolon and an empty line."""
    ranked = syntax.labels_of("current_videos", INPUT)
    columns = "label, score, max_score, label_rank"
    return f"""{syntax.create} {syntax.prefix}label_thresholds AS
{_rows(thresholds, syntax)};

{syntax.create} {syntax.prefix}passed_labels AS
WITH ranked AS (
    SELECT {INPUT}, {_ROW}, row_number() OVER (
        PARTITION BY {INPUT} ORDER BY l.{thresholds.score_column} DESC, l.class_id
    ) AS label_rank
    FROM {ranked}
)
SELECT video_uri, ranked.{columns.replace(", ", ", ranked.")}, range_start_ms, range_end_ms
FROM {with_thresholds("ranked", "ranked.label", syntax)}
WHERE {passes(f"ranked.{thresholds.score_column}", syntax)};

{syntax.create} {syntax.prefix}video_answers AS
WITH best AS (
    SELECT *, row_number() OVER (PARTITION BY {INPUT} ORDER BY label_rank) AS place
    FROM {syntax.prefix}passed_labels
)
SELECT
    v.video_uri,
    CASE WHEN v.status = 'failed' THEN 'failed' WHEN p.label IS NULL THEN '{NOTHING_RECOGNIZED}' ELSE 'recognized' END
        AS answer,
    p.label, p.score, p.max_score, p.label_rank, v.range_start_ms, v.range_end_ms
FROM {syntax.prefix}current_videos AS v
LEFT JOIN (SELECT * FROM best WHERE place = 1) AS p ON {_SAME_INPUT};

"""


def _rows(thresholds: LabelThresholds, syntax: Syntax) -> str:
    """Returns the query for the thresholds, with one label a line."""
    rows = [(f"CAST(NULL AS {syntax.text_type})", thresholds.default)]
    rows += [(syntax.string(label), threshold) for label, threshold in sorted(thresholds.labels.items())]
    first, *others = (
        f"SELECT {label} AS label, CAST({float(threshold)!r} AS {syntax.number_type}) AS threshold"
        for label, threshold in rows
    )
    return "\n".join([first, *(f"UNION ALL {each}" for each in others)])
