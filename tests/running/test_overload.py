"""More than the service can take: it refuses politely, loses nothing, recovers at once."""

import time

from benchmarks.corpus import build_requests
from benchmarks.http_load import HttpLoad, Plan
from benchmarks.instance import Instance
from benchmarks.ledger import Ledger
from benchmarks.processes import usage_by_name
from tests.running.client import Client, wait_until
from tests.running.load import verdict_of

CONNECTIONS = 150
LASTS_S = 8.0
INGEST_RSS_BYTES_MAX = 1 << 30


def test_an_overload_is_refused_in_part_and_leaves_no_trace(instance: Instance, client: Client) -> None:
    ledger = Ledger(time.time_ns() & 0xFFFF)
    plan = Plan(instance.host, instance.port, instance.api_key, 0, LASTS_S, CONNECTIONS)
    outcome = HttpLoad(plan, build_requests(CONNECTIONS), ledger).run()
    # Each answer is an acknowledgement or an invitation to come back.
    assert outcome.failed == 0
    assert len(outcome.acknowledged) > 0
    for name, usage in usage_by_name(instance.instance_id).items():
        if name.startswith("ServeReplica:ingest"):
            assert usage.rss_bytes < 2 * INGEST_RSS_BYTES_MAX  # of up to two replicas
    verdict = verdict_of(ledger, instance)
    assert (verdict.lost, verdict.doubled) == (0, 0)

    marker = client.marker()
    took_s = wait_until(lambda: answered_within(client, marker), "an ordinary answer", 10)
    assert took_s < 2
    assert len(client.wait_for(marker, 1)) == 1


def answered_within(client: Client, marker: str) -> float | None:
    began_s = time.monotonic()
    answer = client.ingest([{"timestamp": 1700000000, "message": marker}])
    return time.monotonic() - began_s if answer.status_code == 202 else None
