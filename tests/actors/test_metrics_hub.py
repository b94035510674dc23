"""The hub adds up processes, forgets the gauges of dead ones and writes what Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from actors.metrics_hub import PROCESSES_MAX, SILENCE_S, MetricsHub
from core.metric_names import ALL, BUFFERED_ROWS, INGESTION_LATENCY, LOGS_INGESTED
from core.metrics import Latency, Snapshot, latency_bin


def snapshot(logs: float, rows: float) -> Snapshot:
    return Snapshot({LOGS_INGESTED.name: {("http",): logs}, BUFFERED_ROWS.name: {("0",): rows}})


def samples(hub: MetricsHub) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(hub.render().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


HTTP = ("logs_ingested_total", (("method", "http"),))
ROWS = ("buffered_rows", (("partition", "0"),))


def test_processes_are_added_and_a_repeated_report_replaces() -> None:
    hub = MetricsHub(lambda: 0.0)
    for logs in (1, 5):
        hub.report("a", snapshot(logs, 2))
    hub.report("b", snapshot(10, 3))
    assert (samples(hub)[HTTP], samples(hub)[ROWS]) == (15, 5)


def test_a_dead_process_keeps_its_counters_and_loses_its_gauges() -> None:
    now_s = 0.0
    hub = MetricsHub(lambda: now_s)
    hub.report("dead", snapshot(10, 3))
    now_s = SILENCE_S + 1
    hub.report("alive", snapshot(1, 2))
    assert (samples(hub)[HTTP], samples(hub)[ROWS]) == (11, 2)


def test_no_counter_is_lost_when_there_have_been_many_processes() -> None:
    hub = MetricsHub(lambda: 0.0)
    for number in range(PROCESSES_MAX + 10):
        hub.report(str(number), snapshot(1, 0))
    assert samples(hub)[HTTP] == PROCESSES_MAX + 10
    assert hub.observe()["processes"] == PROCESSES_MAX


def test_latencies_become_quantiles_with_sum_and_count() -> None:
    hub = MetricsHub(lambda: 0.0)
    fast, slow = latency_bin(0.001), latency_bin(1.0)
    hub.report("a", Snapshot({}, {INGESTION_LATENCY.name: {(): Latency(90, 0.09, {fast: 90})}}))
    hub.report("b", Snapshot({}, {INGESTION_LATENCY.name: {(): Latency(10, 10.0, {slow: 10})}}))
    found = samples(hub)
    name = "ingestion_latency_seconds"
    assert found[(f"{name}_count", ())] == 100
    assert abs(found[(f"{name}_sum", ())] - 10.09) < 1e-9
    assert found[(name, (("quantile", "0.5"),))] < 0.0011
    assert found[(name, (("quantile", "0.99"),))] > 0.95


def test_every_metric_is_there_from_the_first_scrape() -> None:
    text = MetricsHub(lambda: 0.0).render().decode()
    assert all(f"# TYPE {metric.name} {metric.kind}" in text for metric in ALL)
