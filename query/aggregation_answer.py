"""Rows of groups → the answer of an aggregation: an object by bucket, or the measure alone."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from query.intervals import BUCKETS_MAX, even_width_ns
from query.iso import iso
from query.plan.nodes import Buckets, Key, Measure, NumberKey, TimeKey

Row = Sequence[Any]
Rows = Sequence[Row]


def aggregation_answer(buckets: Buckets, rows: Rows, inner_rows: Mapping[str, Rows]) -> Any:
    """`{"error": 100, …}`; with inner aggregations `{"error": {"count": 100, "by_hour": {…}}, …}`.

    Buckets of time are named by their start in the aggregation's time zone, and empty ones are there too.
    """
    groups = buckets.by_table
    if not groups.keys:
        return measure_answer(groups.measure, rows[0] if rows else ())
    counts = {row[0]: int(row[1]) for row in rows}
    inside = {each.name: _by_outer(each, inner_rows[each.name]) for each in buckets.inner}
    spans = {
        each.name: _places(each, (row[0] for rows in inside[each.name].values() for row in rows))
        for each in buckets.inner
        if len(each.by_table.keys) > 1
    }
    answer: dict[str, Any] = {}
    places = _places(buckets, counts)
    for name, place in zip(key_names(groups.keys[0], places, buckets.time_zone), places, strict=True):
        count = counts.get(place, 0)
        if not buckets.inner:
            answer[name] = count
            continue
        answer[name] = {"count": count} | {
            each.name: _inner_answer(each, inside[each.name].get(place, []), spans.get(each.name, []))
            for each in buckets.inner
        }
    return answer


def measure_answer(measure: Measure, row: Row) -> Any:
    """What was computed of one group; a group that had no row has no numbers."""
    if measure.kind in ("count", "cardinality", "missing"):
        return int(row[0]) if row else 0
    if measure.kind == "percentiles":
        values, count = row if row else ((), 0)
        known = [_finite(value) for value in values] if count else [None] * len(measure.percents)
        return {f"{percent:g}": value for percent, value in zip(measure.percents, known, strict=True)}
    count, low, high, total = row if row else (0, 0, 0, 0)
    if not count:
        return {"count": 0, "min": None, "max": None, "sum": 0, "avg": None}
    numbers = {"min": low, "max": high, "sum": total, "avg": total / count}
    return {"count": int(count)} | {name: _finite(number) for name, number in numbers.items()}


def key_names(key: Key, places: Iterable[Any], time_zone: str) -> list[str]:
    """The buckets' names: the start of their time, their lowest number, or the value."""
    if isinstance(key, TimeKey):
        width, zone = even_width_ns(key.edges), ZoneInfo(time_zone)  # all edges are looked at: once
        return [iso(place if width is None else key.edges[0] + place * width, zone) for place in places]
    if isinstance(key, NumberKey):
        return [f"{place * key.width:.15g}" for place in places]
    return list(map(str, places))


def _inner_answer(buckets: Buckets, rows: Rows, places: Iterable[Any]) -> Any:
    groups = buckets.by_table
    if len(groups.keys) == 1:
        return measure_answer(groups.measure, rows[0] if rows else ())
    counts = {row[0]: int(row[1]) for row in rows}
    key = groups.keys[1]
    shown = list(places if isinstance(key, (TimeKey, NumberKey)) else counts)
    names = key_names(key, shown, buckets.time_zone)
    return {name: counts.get(place, 0) for name, place in zip(names, shown, strict=True)}


def _by_outer(buckets: Buckets, rows: Rows) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for outer, *rest in rows:
        found[outer].append(rest)
    return found


def _places(buckets: Buckets, found: Iterable[Any]) -> list[Any]:
    """The buckets to show, in their order: of a histogram empty ones as well."""
    key, places = buckets.by_table.keys[-1], list(dict.fromkeys(found))
    if isinstance(key, NumberKey):
        first, last = (min(places), max(places)) if places else (0, -1)
        if last - first >= BUCKETS_MAX:
            return sorted(places)
        return [first + step for step in range(int(last - first) + 1)]
    if not isinstance(key, TimeKey):
        return places
    every: list[int] = list(key.edges[:-1])
    if even_width_ns(key.edges) is not None:
        every = list(range(len(every)))
    if not buckets.trim:
        return every
    first, last = (min(places), max(places)) if places else (0, -1)
    return [place for place in every if first <= place <= last]


def _finite(number: float) -> float | int | None:
    """A number that JSON can hold, whole ones without a fraction."""
    if not math.isfinite(number):
        return None
    return int(number) if float(number).is_integer() and abs(number) < 2**53 else float(number)
