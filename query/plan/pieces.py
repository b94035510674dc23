"""The rule for counts: which source answers which part of a range."""

from typing import Final

from query.catalog import field_named
from query.plan.facts import TableFacts
from query.plan.nodes import (
    COUNT,
    HOUR_NS,
    MINUTE_NS,
    Key,
    Measure,
    Piece,
    Source,
    TimeKey,
    Traits,
    ValueKey,
)
from query.search import TimeRange

# From so many logs on it pays to count whole hours apart: their timestamps, 1 ns each, are not read.
HOURS_ROWS_MIN: Final = 10_000_000
HOURS_LEAST: Final = 12  # a shorter range is read by the minute in one statement


def count_pieces(
    range_: TimeRange, traits: Traits, facts: TableFacts, keys: tuple[Key, ...], measure: Measure = COUNT
) -> tuple[Piece, ...]:
    """The cheapest exact sources for a count by these keys.

    The rollups know whole hours and whole minutes, so that the table adds what lies at the range's edges;
    everything else is the table's.
    """
    for key in keys:
        if isinstance(key, TimeKey):
            range_ = range_.intersection(TimeRange(key.edges[0], key.edges[-1]))
    if measure.kind != "count":
        return (Piece("table", range_),)
    if traits.by_rollup and all(map(_in_rollup, keys)):
        return _by_rollups(range_, all(map(_in_hours, keys)))
    if all(map(_in_hours, keys)) and facts.rows_in(range_) >= HOURS_ROWS_MIN:
        return whole_and_edges(range_, HOUR_NS, "table")
    return (Piece("table", range_),)


def _by_rollups(range_: TimeRange, in_hours: bool) -> tuple[Piece, ...]:
    """Hours where they are worth a statement of their own, minutes before and after them, the rest."""
    if not in_hours or range_.until_ns - range_.from_ns < HOURS_LEAST * HOUR_NS:
        return whole_and_edges(range_, MINUTE_NS, "rollup")
    hours, *edges = whole_and_edges(range_, HOUR_NS, "hourly rollup")
    return (
        hours,
        *(piece for edge in edges for piece in whole_and_edges(edge.range, MINUTE_NS, "rollup")),
    )


def whole_and_edges(range_: TimeRange, unit_ns: int, source: Source) -> tuple[Piece, ...]:
    """Whole units by a source, then what lies before and after them by the table; all of it without one."""
    first, last = -(-range_.from_ns // unit_ns) * unit_ns, range_.until_ns // unit_ns * unit_ns
    if first >= last:
        return (Piece("table", range_),)
    edges = (TimeRange(range_.from_ns, first), TimeRange(last, range_.until_ns))
    return (
        Piece(source, TimeRange(first, last)),
        *(Piece("table", edge) for edge in edges if not edge.empty),
    )


def _in_rollup(key: Key) -> bool:
    if isinstance(key, TimeKey):
        return all(edge % MINUTE_NS == 0 for edge in key.edges)
    return isinstance(key, ValueKey) and field_named(key.field).in_rollup


def _in_hours(key: Key) -> bool:
    """Whether it needs no timestamps."""
    return not isinstance(key, TimeKey) or all(edge % HOUR_NS == 0 for edge in key.edges)
