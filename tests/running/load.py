"""Load while something is killed: connections that send numbered logs, and the ledger of the acknowledged."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.corpus import build_requests
from benchmarks.http_load import HttpLoad, Plan
from benchmarks.instance import Instance
from benchmarks.ledger import Ledger, Verdict
from tests.running.client import wait_until

CONNECTIONS = 4
LOGS_PER_S = 8_000  # enough that something is always under way, little enough to count quickly
LASTS_AT_MOST_S = 600.0


class Load:
    """Runs until it is stopped."""

    def __init__(self, instance: Instance, run: int) -> None:
        self.ledger = Ledger(run)
        plan = Plan(instance.host, instance.port, instance.api_key, LOGS_PER_S, LASTS_AT_MOST_S, CONNECTIONS)
        self._load = HttpLoad(plan, build_requests(CONNECTIONS), self.ledger)
        self._thread = threading.Thread(target=self._load.run)
        self._thread.start()

    def wait_for_progress(self, logs: int = 2000) -> None:
        """Until so many more logs were acknowledged: the service takes them in again."""
        wanted = self.ledger.acknowledged_logs + logs
        wait_until(
            lambda: self.ledger.acknowledged_logs >= wanted or None, "the service to take logs again", 90
        )

    def stop(self) -> None:
        self._load.stop()
        self._thread.join()


@contextmanager
def load_on(instance: Instance) -> Iterator[Load]:
    """Load for as long as the context lasts."""
    load = Load(instance, time.time_ns() & 0xFFFF)
    try:
        yield load
    finally:
        load.stop()


def verdict_of(ledger: Ledger, instance: Instance) -> Verdict:
    """Compare store and ledger, once everything that was acknowledged had time to get there."""

    wait_until(lambda: ledger.all_stored(instance.store) or None, "every acknowledged log in the store", 90)
    return ledger.check(instance.store)
