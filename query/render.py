"""The one renderer: nodes of a plan → SQL for the log table and its rollups."""

from collections.abc import Sequence
from typing import Any, Final

from query.catalog import field_named
from query.known import Filter
from query.plan.nodes import Groups, Page, Piece
from query.render_groups import (
    key_filter,
    key_value,
    measure_columns,
    number_columns,
    shown_key,
    stored_forms,
)
from query.render_test import time_ns
from query.render_values import number_in
from query.render_where import conditions
from query.rollups import ROLLUPS
from query.search import Position, TimeRange
from query.statement import Binds, Statement

# What an answer is made of, as query.answers.LOG_NAMES has it. Nanoseconds are asked for as integers, since
# DateTime64 would come back in microseconds.
LOG_COLUMNS: Final = (
    "toUnixTimestamp64Nano(timestamp)",
    "seq",
    "level",
    "service",
    "message",
    "concat(fields, long_fields)",
    "shape",
    "toUnixTimestamp64Nano(ingested_at)",
    "source_ip",
    "method",
)
GROUPS_MAX: Final = 100_000  # of one aggregation
VALUES_MAX: Final = 100_000  # different ones, of all groups
TOO_MANY_VALUES: Final = 158  # TOO_MANY_ROWS: what the store says past VALUES_MAX


def page_statement(
    filter_: Filter,
    page: Page,
    slice_: TimeRange,
    limit: int,
    offset: int,
    columns: Sequence[str] = LOG_COLUMNS,
) -> Statement:
    """One slice of a page."""
    bind = Binds(filter_.known.columns)
    where = conditions(filter_, Piece("table", slice_), bind, page.few)
    if page.after is not None:
        where.append(_beyond(page.after, page.order, bind))
    direction = page.order.upper()
    sql = (
        f"SELECT {', '.join(columns)} FROM logs{_where(where)}"
        f" ORDER BY timestamp {direction}, seq {direction}"
        f" LIMIT {bind(limit, 'UInt64')} OFFSET {bind(offset, 'UInt64')}"
    )
    return Statement(sql, bind.values)


def groups_statement(
    filter_: Filter, groups: Groups, only: Sequence[str] | None = None, budget_s: float | None = None
) -> Statement:
    """Groups of all pieces: a column for each key, then those of the measure.

    `only` leaves the groups whose first key is one of these values. With a budget, the statement ends with a
    timeout when that was not enough. More than GROUPS_MAX rows mean that there are too many groups.
    """
    bind = Binds(filter_.known.columns)
    columns = [f"k{index}" for index in range(len(groups.keys))]
    shown = [shown_key(key, column) for key, column in zip(groups.keys, columns, strict=True)]
    pieces = [piece_select(filter_, groups, piece, only, bind) for piece in groups.pieces]
    if len(pieces) == 1 and (shown == columns or groups.measure.kind != "count"):
        (sql,) = pieces
    else:
        assert groups.measure.kind == "count", "only counts add up"
        # Values are grouped as they are stored and unquoted after that: fewer rows to unquote.
        named = [f"{value} AS {column}" for value, column in zip(shown, columns, strict=True)]
        inner = " UNION ALL ".join(pieces)
        sql = f"SELECT {', '.join([*named, 'sum(n) AS n'])} FROM ({inner}){_group_by(columns)}"
    if groups.top is not None:
        *outer, last = columns
        by = f" BY {', '.join(outer)}" if outer else ""
        sql += f" ORDER BY {', '.join([*outer, 'n DESC', last])} LIMIT {bind(groups.top, 'UInt64')}{by}"
    if columns and (groups.top is None or len(columns) > 1):
        sql += f" LIMIT {bind(GROUPS_MAX + 1, 'UInt64')}"
    return Statement(sql, bind.values, _budget(budget_s))


def piece_select(
    filter_: Filter, groups: Groups, piece: Piece, only: Sequence[str] | None, bind: Binds
) -> str:
    """The groups of one piece in any order: k0, k1, … with values as stored, then the measure."""
    keys, where = _keys(filter_, groups, piece, only, bind)
    columns = [*keys, *measure_columns(groups.measure, piece.source, bind)]
    names = [f"k{index}" for index in range(len(keys))]
    table = ROLLUPS.get(piece.source, "logs")
    return f"SELECT {', '.join(columns)} FROM {table}{_where(where)}{_group_by(names)}"


def _keys(
    filter_: Filter, groups: Groups, piece: Piece, only: Sequence[str] | None, bind: Binds
) -> tuple[list[str], list[str]]:
    """The columns of the keys, and the conditions."""
    where = conditions(filter_, piece, bind)
    columns = []
    for index, key in enumerate(groups.keys):
        value = key_value(key, piece.source, bind)
        where += key_filter(key, value)
        if index == 0 and only is not None:
            where.append(f"{value} IN {bind(stored_forms(key, only), 'Array(String)')}")
        if groups.measure.kind != "count":
            value = shown_key(key, value)
        columns.append(f"{value} AS k{index}")
    return columns, where


def by_value_statement(filter_: Filter, groups: Groups, only: Sequence[str] | None = None) -> Statement:
    """Statistics or percentiles of a field with its own column: values that repeat are read as numbers once.

    Columns and rows are those of groups_statement. The store refuses with TOO_MANY_VALUES past VALUES_MAX.
    """
    bind, measure = Binds(filter_.known.columns), groups.measure
    (piece,) = groups.pieces
    assert measure.field is not None, "numbers are in a field"
    value = field_named(measure.field).sql(bind)
    keys, where = _keys(filter_, groups, piece, only, bind)
    where.append(f"{value} != ''")
    names = [f"k{index}" for index in range(len(keys))]
    inner = (
        f"SELECT {', '.join([*keys, f'{value} AS text', 'count() AS weight'])} FROM logs"
        f"{_where(where)}{_group_by([*names, 'text'])}"
    )
    columns = number_columns(measure, number_in("text"), "weight")
    sql = f"SELECT {', '.join([*names, *columns])} FROM ({inner}){_group_by(names)}"
    return Statement(
        sql, bind.values, {"max_rows_to_group_by": VALUES_MAX, "group_by_overflow_mode": "throw"}
    )


def _beyond(after: Position, order: str, bind: Binds) -> str:
    sign = "<" if order == "desc" else ">"
    return f"(timestamp, seq) {sign} ({time_ns(after.timestamp_ns, bind)}, {bind(after.seq, 'UInt64')})"


def _where(where: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(where)}" if where else ""


def _group_by(columns: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(columns)}" if columns else ""


def _budget(budget_s: float | None) -> dict[str, Any]:
    return {} if budget_s is None else {"max_execution_time": budget_s}
