"""The rule for counts: which source answers which part of a range."""

from query.catalog import field_named
from query.plan.nodes import COUNT, MINUTE_NS, Key, Measure, Piece, TimeKey, Traits, ValueKey
from query.search import TimeRange


def count_pieces(
    range_: TimeRange, traits: Traits, keys: tuple[Key, ...], measure: Measure = COUNT
) -> tuple[Piece, ...]:
    """The cheapest exact sources for a count by these keys.

    The rollup knows whole minutes, so that the table adds what lies at the range's edges; everything else
    is the table's.
    """
    for key in keys:
        if isinstance(key, TimeKey):
            range_ = range_.intersection(TimeRange(key.edges[0], key.edges[-1]))
    if traits.by_rollup and measure.kind == "count" and all(map(_in_rollup, keys)):
        return _rollup_and_edges(range_)
    return (Piece("table", range_),)


def _in_rollup(key: Key) -> bool:
    if isinstance(key, TimeKey):
        return all(edge % MINUTE_NS == 0 for edge in key.edges)
    return isinstance(key, ValueKey) and field_named(key.field).in_rollup


def _rollup_and_edges(range_: TimeRange) -> tuple[Piece, ...]:
    first, last = -(-range_.from_ns // MINUTE_NS) * MINUTE_NS, range_.until_ns // MINUTE_NS * MINUTE_NS
    if first >= last:
        return (Piece("table", range_),)
    edges = (TimeRange(range_.from_ns, first), TimeRange(last, range_.until_ns))
    return (
        Piece("rollup", TimeRange(first, last)),
        *(Piece("table", edge) for edge in edges if not edge.empty),
    )
