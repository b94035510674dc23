"""The ledger: which requests were acknowledged, and whether the store holds exactly their logs."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.corpus import LOGS_PER_REQUEST
from core.errors import StorageUnavailable
from core.packed_fields import prefix, value_sql
from storage.clickhouse import ClickHouse

STORED_WITHIN_S: Final = 300.0
REQUEST_ID: Final = value_sql(f"'{prefix('request_id')}'")  # as JSON text
POLL_S: Final = 0.2  # each look is a statement: more would be a load of its own


@dataclass(frozen=True, slots=True)
class Verdict:
    """Logs acknowledged, and those of them that are missing from the store or there more than once."""

    acknowledged: int
    lost: int
    doubled: int
    unacknowledged_but_stored: int

    @property
    def holds(self) -> bool:
        return self.lost == 0 and self.doubled == 0


@dataclass
class Ledger:
    """Numbers requests and remembers which were acknowledged; safe for several threads."""

    run: int
    _next: int = 0
    _acknowledged: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self) -> int:
        """The number of a new request; its logs have the numbers `n * 1000` and on."""
        with self._lock:
            self._next += 1
            return self._next - 1

    def acknowledge(self, request: int) -> None:
        self._acknowledged.add(request)

    @property
    def acknowledged_logs(self) -> int:
        return len(self._acknowledged) * LOGS_PER_REQUEST

    def stored_logs(self, store: ClickHouse) -> int:
        """How many logs of this run the store can find."""
        return int(store.query(f"SELECT count() {self._of_this_run}", {"run": self._prefix}).rows[0][0])

    def all_stored(self, store: ClickHouse) -> bool:
        """Whether the store can find every log that was acknowledged; while it comes back from a kill, none.

        The count is the cheap look. It is not enough: logs of requests whose answer was lost are among them.
        """
        try:
            return self.stored_logs(store) >= self.acknowledged_logs and not self.check(store).lost
        except StorageUnavailable:
            return False

    def check(self, store: ClickHouse) -> Verdict:
        """Compare, request by request."""
        number = "reinterpretAsUInt64(reverse(unhex(concat('0000', substring(id, 5)))))"
        sql = (
            f"SELECT intDiv({number}, 1000) AS request, count() AS logs, uniqExact(id) AS ids "
            f"FROM (SELECT trim(BOTH '\"' FROM {REQUEST_ID}) AS id "
            f"{self._of_this_run}) GROUP BY request"
        )
        stored = {int(r): (int(n), int(ids)) for r, n, ids in store.query(sql, {"run": self._prefix}).rows}
        lost = sum(LOGS_PER_REQUEST - stored.get(request, (0, 0))[1] for request in self._acknowledged)
        doubled = sum(logs - ids for logs, ids in stored.values())
        extra = sum(logs for request, (logs, _) in stored.items() if request not in self._acknowledged)
        return Verdict(self.acknowledged_logs, lost, doubled, extra)

    @property
    def _prefix(self) -> str:
        return f'"{self.run:04x}'

    @property
    def _of_this_run(self) -> str:
        return f"FROM logs WHERE startsWith({REQUEST_ID}, {{run:String}})"


def wait_until_stored(all_stored: Callable[[], bool]) -> float:
    """Seconds until the store shows everything; STORED_WITHIN_S and a little when it does not."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < STORED_WITHIN_S and not all_stored():
        time.sleep(POLL_S)
    return time.monotonic() - began_s
