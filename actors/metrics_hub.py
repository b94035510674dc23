"""The metrics hub: adds up the numbers of all processes and renders them for Prometheus."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from ray.actor import ActorHandle

from actors.placement import METRICS_HUB, actor_options, start_actor
from core.metric_names import ALL
from core.metrics import Labels, Latency, Metric, Snapshot, merge_bins, quantile

QUANTILES: Final = (0.5, 0.9, 0.99)
SILENCE_S: Final = 60.0  # a process that is silent for longer is gone: its gauges no longer count
PROCESSES_MAX: Final = 1000  # beyond, the oldest are folded into one


@dataclass(frozen=True, slots=True)
class Report:
    """The latest snapshot of one process, and when it came."""

    snapshot: Snapshot
    at_s: float


class MetricsHub(Collector):
    """Counters of every process since the hub began, gauges of those that are alive.

    After a restart of the hub the living processes report again; counters of those that had ended
    before are gone, which Prometheus reads as a counter reset.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._reports: OrderedDict[str, Report] = OrderedDict()
        self._past = Snapshot()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def report(self, process: str, snapshot: Snapshot) -> None:
        """Take the cumulative snapshot of a process, in place of its earlier one."""
        self._reports[process] = Report(snapshot, self._monotonic_s())
        self._reports.move_to_end(process)
        while len(self._reports) > PROCESSES_MAX:
            _, oldest = self._reports.popitem(last=False)
            self._past = add_snapshots([self._past, oldest.snapshot], counters_only=True)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def observe(self) -> dict[str, Any]:
        """The hub's own state, for people."""
        alive = self._alive()
        return {"processes": len(self._reports), "alive": len(alive)}

    def collect(self) -> Iterable[Family]:
        """Called by prometheus_client; a family for every known metric, also those still at zero."""
        everything = add_snapshots([self._past, *(r.snapshot for r in self._reports.values())])
        living = add_snapshots(self._alive())
        for metric in ALL:
            values = (living if metric.kind == "gauge" else everything).values.get(metric.name, {})
            latencies = everything.latencies.get(metric.name, {})
            yield family(metric, dict(values), dict(latencies))

    def _alive(self) -> list[Snapshot]:
        since_s = self._monotonic_s() - SILENCE_S
        return [report.snapshot for report in self._reports.values() if report.at_s >= since_s]


def family(metric: Metric, values: dict[Labels, float], latencies: dict[Labels, Latency]) -> Family:
    """One metric as prometheus_client's family of samples."""
    if not metric.labels:
        values = values or {(): 0.0}
        latencies = latencies or {(): Latency(0, 0.0, {})}
    if metric.kind == "summary":
        summary = SummaryMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, latency in latencies.items():
            named = dict(zip(metric.labels, labels, strict=True))
            for q in QUANTILES:
                value = quantile(latency.bins, q)
                summary.add_sample(metric.name, {**named, "quantile": str(q)}, value)
            summary.add_metric(labels, count_value=latency.count, sum_value=latency.sum_s)
        return summary
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    result = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        result.add_metric(labels, value)
    return result


def add_snapshots(snapshots: list[Snapshot], *, counters_only: bool = False) -> Snapshot:
    """The sum of several processes' numbers."""
    gauges = {metric.name for metric in ALL if metric.kind == "gauge"} if counters_only else set()
    values: dict[str, dict[Labels, float]] = {}
    latencies: dict[str, dict[Labels, Latency]] = {}
    for snapshot in snapshots:
        for name, series in snapshot.values.items():
            if name not in gauges:
                total = values.setdefault(name, {})
                for labels, value in series.items():
                    total[labels] = total.get(labels, 0.0) + value
        for name, summaries in snapshot.latencies.items():
            sums = latencies.setdefault(name, {})
            for labels, one in summaries.items():
                so_far = sums.get(labels, Latency(0, 0.0, {}))
                sums[labels] = Latency(
                    so_far.count + one.count, so_far.sum_s + one.sum_s, merge_bins([so_far.bins, one.bins])
                )
    return Snapshot(values, latencies)


CPUS: Final = 0.05
CALLS_MAX: Final = 100


def start_metrics_hub() -> "ActorHandle[Any]":
    """The hub's actor, started if there is none."""
    return start_actor(MetricsHubActor, actor_options(METRICS_HUB, CPUS, CALLS_MAX))


class MetricsHubActor:
    """The hub behind Ray: a class of its own, because Ray's workers cannot inherit from a Collector."""

    def __init__(self) -> None:
        self._hub = MetricsHub()

    async def report(self, process: str, snapshot: Snapshot) -> None:
        self._hub.report(process, snapshot)

    async def render(self) -> bytes:
        return self._hub.render()

    async def observe(self) -> dict[str, Any]:
        return self._hub.observe()
