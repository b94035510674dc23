"""More than the service can take, and a store that stands still or is slow: polite refusals, nothing lost."""

import time

from benchmarks.corpus import build_requests
from benchmarks.disturbances import slow_store, stopped_store
from benchmarks.http_load import HttpLoad, Plan
from benchmarks.instance import Instance
from benchmarks.ledger import Ledger
from benchmarks.processes import usage_by_name
from tests.running.client import Client, wait_until
from tests.running.load import LOGS_PER_S, load_on, verdict_of

OFFERED_LOGS_PER_S = 300_000  # no machine that runs this takes so many
CONNECTIONS = 400  # more than two replicas work on at once
LASTS_S = 8.0
ACKNOWLEDGED_WITHIN_S = 5.0
INGEST_RSS_BYTES_MAX = 1 << 30


def test_an_overload_is_refused_in_part_and_leaves_no_trace(instance: Instance, client: Client) -> None:
    ledger = Ledger(time.time_ns() & 0xFFFF)
    plan = Plan(
        instance.host,
        instance.port,
        instance.api_key,
        OFFERED_LOGS_PER_S,
        LASTS_S,
        CONNECTIONS,
        rest_after_refusal_s=0,
    )
    outcome = HttpLoad(plan, build_requests(8), ledger).run()
    # Each answer is an acknowledgement, soon, or an invitation to come back.
    assert outcome.failed == 0
    assert set(outcome.refusals) <= {429, 503}
    assert outcome.refusals[429] > 0
    assert outcome.without_retry_after == 0
    assert len(outcome.acknowledged) > 0
    assert max(seconds for _, seconds in outcome.acknowledged) < ACKNOWLEDGED_WITHIN_S
    for name, usage in usage_by_name(instance.instance_id).items():
        if name.startswith("ServeReplica:ingest"):
            assert usage.rss_bytes < 2 * INGEST_RSS_BYTES_MAX  # of up to two replicas
    verdict = verdict_of(ledger, instance)
    assert (verdict.lost, verdict.doubled) == (0, 0)

    marker = client.marker()
    took_s = wait_until(lambda: answered_within(client, marker), "an ordinary answer", 10)
    assert took_s < 2
    assert len(client.wait_for(marker, 1)) == 1


def test_ingest_goes_on_while_the_store_stands_still_and_while_it_is_slow(
    instance: Instance, client: Client
) -> None:
    with load_on(instance) as load:
        load.wait_for_progress()
        with stopped_store(instance):
            load.wait_for_progress(3 * LOGS_PER_S)
            wait_until(lambda: buffered_rows(client) > LOGS_PER_S or None, "the WAL to hold what came")
        with slow_store(instance):
            load.wait_for_progress(3 * LOGS_PER_S)
    verdict = verdict_of(load.ledger, instance)
    assert (verdict.lost, verdict.doubled) == (0, 0)
    wait_until(lambda: buffered_rows(client) == 0 or None, "the WAL to be drained")


def buffered_rows(client: Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("buffered_rows{"))


def answered_within(client: Client, marker: str) -> float | None:
    began_s = time.monotonic()
    answer = client.ingest([{"timestamp": 1700000000, "message": marker}])
    return time.monotonic() - began_s if answer.status_code == 202 else None
