"""Numbers that every process keeps and one actor sums: counters, gauges and latency summaries.

A `Metrics` belongs to one process. Its `snapshot()` is cumulative since the process began, so that a lost
or repeated report does no harm; `actors.metrics_hub` adds up the latest snapshot of each process.
All metrics are listed in core.metric_names.
"""

import math
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from core.clock import Clock

Labels = tuple[str, ...]
Bins = dict[int, int]

BIN_GROWTH: Final = math.log(1.05)  # neighbouring latency bins differ by 5 %: the error of a quantile
WINDOW_S: Final = 300.0  # quantiles speak of the last one to two windows


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family: its Prometheus name, type, help text and label names."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """A summary's state: total count and sum in seconds, and recent observations by logarithmic bin."""

    count: int
    sum_s: float
    bins: Bins


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers of one process: metric name → label values → value."""

    values: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)
    latencies: Mapping[str, Mapping[Labels, Latency]] = field(default_factory=dict)


class Metrics:
    """The numbers of this process; safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._latencies: dict[str, dict[Labels, _Window]] = defaultdict(dict)

    def count(self, metric: Metric, amount: float = 1, labels: Labels = ()) -> None:
        """Add to a counter."""
        assert metric.kind == "counter" and len(labels) == len(metric.labels)
        with self._lock:
            self._values[metric.name][labels] += amount

    def set(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        """Set a gauge."""
        assert metric.kind == "gauge" and len(labels) == len(metric.labels)
        with self._lock:
            self._values[metric.name][labels] = value

    def observe(self, metric: Metric, seconds: float, labels: Labels = ()) -> None:
        """Record one duration in a summary."""
        assert metric.kind == "summary" and len(labels) == len(metric.labels)
        with self._lock:
            window = self._latencies[metric.name].get(labels)
            if window is None:
                window = self._latencies[metric.name][labels] = _Window()
            window.add(seconds, self._clock.monotonic_s())

    def snapshot(self) -> Snapshot:
        """A frozen copy, cumulative since the process began."""
        now = self._clock.monotonic_s()
        with self._lock:
            return Snapshot(
                {name: dict(series) for name, series in self._values.items()},
                {
                    name: {labels: window.latency(now) for labels, window in series.items()}
                    for name, series in self._latencies.items()
                },
            )


class _Window:
    """Observations of the present and the previous window, and the totals since the beginning."""

    def __init__(self) -> None:
        self._count, self._sum_s, self._began_s = 0, 0.0, 0.0
        self._present: Bins = defaultdict(int)
        self._previous: Bins = {}

    def add(self, seconds: float, now_s: float) -> None:
        self._turn(now_s)
        self._count += 1
        self._sum_s += seconds
        self._present[latency_bin(seconds)] += 1

    def latency(self, now_s: float) -> Latency:
        self._turn(now_s)
        return Latency(self._count, self._sum_s, merge_bins([self._present, self._previous]))

    def _turn(self, now_s: float) -> None:
        age_s = now_s - self._began_s
        if age_s >= WINDOW_S:
            self._previous = dict(self._present) if age_s < 2 * WINDOW_S else {}
            self._present = defaultdict(int)
            self._began_s = now_s


def latency_bin(seconds: float) -> int:
    """The logarithmic bin of a duration; all below a microsecond share one."""
    return round(math.log(max(seconds, 1e-6)) / BIN_GROWTH)


def merge_bins(parts: list[Bins]) -> Bins:
    """Add up bins of several windows or processes."""
    total: Bins = defaultdict(int)
    for bins in parts:
        for index, count in bins.items():
            total[index] += count
    return dict(total)


def quantile(bins: Bins, q: float) -> float:
    """The duration in seconds that a share `q` of the observations does not exceed; NaN without any."""
    rank = q * sum(bins.values())
    seen = 0
    for index in sorted(bins):
        seen += bins[index]
        if seen >= rank:
            return math.exp(index * BIN_GROWTH)
    return math.nan
