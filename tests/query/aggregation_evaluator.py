"""Aggregations once more, counted in plain Python: what the differential tests compare the answers with."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from query.intervals import bucket_edges, parse_interval
from query.iso import iso
from tests.query.evaluator import COLUMNS, StoredLog, number_of

Logs = Sequence[StoredLog]


def aggregate(request: dict[str, Any], logs: Logs, from_ns: int | None, until_ns: int | None) -> Any:
    """The answer for logs that match; the range, where it is given, decides which empty buckets are shown."""
    kind, field = request.get("type", "terms"), request.get("field", "timestamp")
    if kind == "terms":
        found = top(field, request.get("size", 10), logs)
        return {
            value: with_inner(request, [log for log in logs if shown(log, field) == value], count, logs)
            for value, count in found.items()
        }
    if kind == "histogram" and field == "timestamp":
        return time_histogram(request, logs, from_ns, until_ns)
    if kind == "histogram":
        return number_histogram(request, logs)
    return measured(request, logs)


def with_inner(request: dict[str, Any], inside: Logs, count: int, logs: Logs) -> Any:
    inner = request.get("aggregations")
    if not inner:
        return count
    # Inner histograms have the same buckets in each outer one: those of all logs.
    answers = {name: aggregate(each, inside, None, None) for name, each in inner.items()}
    return {"count": count} | answers


def shown(log: StoredLog, field: str) -> str | None:
    """A value as answers show it; None for none."""
    if field in ("level", "message") or field in COLUMNS:
        return getattr(log, COLUMNS.get(field, field)) or None
    stored = log.attributes.get(field)
    return json.loads(stored) if stored is not None and stored.startswith('"') else stored


def top(field: str, size: int, logs: Logs) -> dict[str, int]:
    # A string in quotes may be empty, and is a value all the same.
    counts = Counter(value for log in logs if (value := shown(log, field)) is not None)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))[:size])


def time_histogram(request: dict[str, Any], logs: Logs, from_ns: int | None, until_ns: int | None) -> Any:
    if not logs and (from_ns is None or until_ns is None):
        return {}
    times = [log.timestamp_ns for log in logs]
    begin = min(times) if from_ns is None else from_ns
    end = max(times) + 1 if until_ns is None else until_ns
    zone = ZoneInfo(request.get("time_zone", "UTC"))
    edges = bucket_edges(begin, end, parse_interval(request["interval"]), zone)
    inside: dict[int, list[StoredLog]] = {edge: [] for edge in edges[:-1]}
    for log in logs:
        inside[edges[bisect_right(edges, log.timestamp_ns) - 1]].append(log)
    used = [edge for edge in inside if inside[edge]]
    is_open = from_ns is None or until_ns is None
    shown_edges = [edge for edge in inside if not is_open or used[0] <= edge <= used[-1]]
    return {
        iso(edge, zone): with_inner(request, inside[edge], len(inside[edge]), logs) for edge in shown_edges
    }


def number_histogram(request: dict[str, Any], logs: Logs) -> Any:
    width, read = request["interval"], number_of(request["field"])
    inside: dict[float, list[StoredLog]] = {}
    for log in logs:
        number = read(log)
        if number is not None:
            inside.setdefault(number // width, []).append(log)
    if not inside:
        return {}
    places = [min(inside) + step for step in range(int(max(inside) - min(inside)) + 1)]
    places = places if len(places) <= 10_000 else sorted(inside)
    return {
        f"{place * width:.15g}": with_inner(request, inside.get(place, []), len(inside.get(place, [])), logs)
        for place in places
    }


def measured(request: dict[str, Any], logs: Logs) -> Any:
    kind, field = request["type"], request["field"]
    if kind == "missing":
        return sum(shown(log, field) is None for log in logs)
    if kind == "cardinality":
        return len({log.attributes[field] for log in logs if field in log.attributes})
    read = number_of(field)
    numbers = [number for log in logs if (number := read(log)) is not None]
    if kind == "percentiles":
        percents = request.get("percents", (50, 90, 95, 99))
        return {f"{each:g}": float(np.percentile(numbers, each)) if numbers else None for each in percents}
    if not numbers:
        return {"count": 0, "min": None, "max": None, "sum": 0, "avg": None}
    total = float(np.sum(numbers))
    return {
        "count": len(numbers),
        "min": min(numbers),
        "max": max(numbers),
        "sum": total,
        "avg": total / len(numbers),
    }
