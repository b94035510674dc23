"""Numbers add up, quantiles stay within their error, and old observations leave the window."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metric_names import INGESTION_LATENCY, LOGS_INGESTED, WAL_BYTES
from core.metrics import WINDOW_S, Metrics, quantile


class MovedClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def now_ns(self) -> int:
        return int(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_counters_add_and_gauges_replace() -> None:
    metrics = Metrics(MovedClock())
    metrics.count(LOGS_INGESTED, 2, ("http",))
    metrics.count(LOGS_INGESTED, 3, ("http",))
    metrics.set(WAL_BYTES, 5, ("1",))
    metrics.set(WAL_BYTES, 4, ("1",))
    snapshot = pickle.loads(pickle.dumps(metrics.snapshot()))
    assert snapshot.values == {"logs_ingested_total": {("http",): 5}, "wal_bytes": {("1",): 4}}


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_within_three_percent_of_an_observation_of_its_rank(
    seconds: list[float], q: float
) -> None:
    metrics = Metrics(MovedClock())
    for value in seconds:
        metrics.observe(INGESTION_LATENCY, value)
    latency = metrics.snapshot().latencies["ingestion_latency_seconds"][()]
    rank = next(i for i in range(len(seconds)) if i + 1 >= q * len(seconds))
    assert quantile(latency.bins, q) == pytest.approx(sorted(seconds)[rank], rel=0.03)
    assert latency.count == len(seconds)
    assert latency.sum_s == pytest.approx(sum(seconds))


def test_observations_leave_the_quantiles_after_two_windows_but_stay_in_the_totals() -> None:
    clock = MovedClock()
    metrics = Metrics(clock)
    metrics.observe(INGESTION_LATENCY, 1.0)
    clock.now_s += WINDOW_S
    assert metrics.snapshot().latencies["ingestion_latency_seconds"][()].bins
    clock.now_s += 2 * WINDOW_S
    latency = metrics.snapshot().latencies["ingestion_latency_seconds"][()]
    assert (latency.bins, latency.count) == ({}, 1)
