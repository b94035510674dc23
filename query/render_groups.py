"""The SQL of grouping keys and measures."""

from collections.abc import Sequence

from query.catalog import Kind, field_named, json_string
from query.intervals import even_width_ns
from query.plan.nodes import HOUR_NS, Key, Measure, NumberKey, Source, TimeKey, ValueKey
from query.render_values import exists, number, plain
from query.rollups import ROLLUPS
from query.statement import Binds


def key_value(key: Key, source: Source, bind: Binds) -> str:
    """The expression that rows are grouped by: a bucket's number or start, or a value as it is stored."""
    if isinstance(key, TimeKey):
        ns = "toInt64(toUnixTimestamp(minute)) * 1000000000" if source == "rollup" else _in_hours(key)
        width = even_width_ns(key.edges)
        if width is None:
            return f"roundDown({ns}, {bind(list(key.edges[:-1]), 'Array(Int64)')})"
        return f"intDiv({ns} - {bind(key.edges[0], 'Int64')}, {bind(width, 'Int64')})"
    if isinstance(key, NumberKey):
        return f"floor({number(field_named(key.field), bind)} / {bind(key.width, 'Float64')})"
    return field_named(key.field).sql(bind)


def _in_hours(key: TimeKey) -> str:
    """The time as exact as the buckets need it: whole hours are read much faster."""
    if all(edge % HOUR_NS == 0 for edge in key.edges):
        return f"toInt64(hour) * {HOUR_NS}"
    return "toUnixTimestamp64Nano(timestamp)"


def key_filter(key: Key, value: str) -> list[str]:
    """Conditions that leave out logs without a value for the key."""
    if isinstance(key, TimeKey):
        return []
    if isinstance(key, NumberKey):
        return [f"isFinite({value})"]
    return [f"{value} != ''"]


def shown_key(key: Key, value: str) -> str:
    """A stored value as the answer shows it: strings without the quotes of their JSON text."""
    if isinstance(key, ValueKey) and field_named(key.field).kind is Kind.JSON:
        return plain(value)
    return value


def stored_forms(key: Key, shown: Sequence[str]) -> list[str]:
    """All stored values that are shown as one of these."""
    if isinstance(key, ValueKey) and field_named(key.field).kind is Kind.JSON:
        return [*shown, *map(json_string, shown)]
    return list(shown)


def measure_columns(measure: Measure, source: Source, bind: Binds) -> list[str]:
    """The columns of a measure, as query.answers reads them."""
    if measure.kind == "count":
        return ["sum(rows) AS n" if source in ROLLUPS else "count() AS n"]
    assert measure.field is not None, "only the plain count has no field"
    field = field_named(measure.field)
    if measure.kind == "cardinality":
        return [f"uniqExactIf({field.sql(bind)}, {exists(field, bind)}) AS n"]
    if measure.kind == "missing":
        return [f"countIf(NOT {exists(field, bind)}) AS n"]
    return number_columns(measure, number(field, bind))


def number_columns(measure: Measure, x: str, weight: str | None = None) -> list[str]:
    """The columns of statistics or percentiles of numbers, each as often as its weight says, or once."""
    there = f"isFinite({x})"
    count = f"countIf({there}) AS n" if weight is None else f"sumIf({weight}, {there}) AS n"
    if measure.kind == "percentiles":
        levels = ", ".join(repr(percent / 100) for percent in measure.percents)
        numbers = f"assumeNotNull({x})"
        if weight is None:
            return [f"quantilesExactInclusiveIf({levels})({numbers}, {there}) AS percentiles", count]
        # The same interpolation.
        quantiles = f"quantilesExactWeightedInterpolatedIf({levels})"
        return [f"{quantiles}({numbers}, {weight}, {there}) AS percentiles", count]
    summand = x if weight is None else f"{x} * {weight}"
    return [
        count,
        *(f"{name}If({x}, {there}) AS {name}" for name in ("min", "max")),
        f"sumKahanIf({summand}, {there}) AS sumKahan",
    ]
