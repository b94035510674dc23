"""What happens meanwhile: kills, a store that hangs or is slow, searches; and how soon logs are found."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from benchmarks.instance import Instance
from benchmarks.processes import instance_processes

# Each holds a part of a log's way; Ray's own processes are the cluster itself, which `logray up` brings back.
VICTIMS: Final = (
    "PartitionWriterActor",
    "EmbeddedClickHouseActor",
    "ServeReplica:ingest",
    "QueryPlannerActor",
    "MetricsHubActor",
    "SupervisorActor",
    "TcpListenerActor",
    "haproxy",
)
SEARCHES: Final = ("timeout", "level:error AND service:checkout-api", "status_code:503", "duration_ms:>8990")
STORE_FROM_S: Final = 10.0  # after the begin the store hangs, or is slow
THROTTLE_PERIOD_S: Final = 1.0
THROTTLED_SHARE: Final = 0.8  # of each period the store stands still
LAG_EVERY_S: Final = 2.0
LAG_POLL_S: Final = 0.1  # each poll is a search: more would be a load of its own
LAG_GIVE_UP_S: Final = 60.0


@dataclass
class Seen:
    """What happened: process → times killed; from acknowledgement to search; what searches took."""

    kills: dict[str, int] = field(default_factory=dict)
    lags_s: list[float] = field(default_factory=list)
    searches_ms: list[float] = field(default_factory=list)
    searches_failed: int = 0


@dataclass(frozen=True, slots=True)
class Disturbances:
    """What shall happen; 0 is never."""

    kill_every_s: float = 0.0
    store_hangs_s: float = 0.0  # once
    store_slow_s: float = 0.0  # once
    searches_at_once: int = 0
    lag: bool = False

    @contextmanager
    def during(self, instance: Instance) -> Iterator[Seen]:
        """Let it happen for as long as the context lasts."""
        seen, ended = Seen(), threading.Event()
        with ExitStack() as stack:
            stack.callback(ended.set)
            for work, wanted in (
                (self._kill, self.kill_every_s > 0),
                (self._hang, self.store_hangs_s > 0),
                (self._throttle, self.store_slow_s > 0),
                (self._measure_lag, self.lag),
                *[(self._search, True)] * self.searches_at_once,
            ):
                if wanted:
                    thread = threading.Thread(target=work, args=(instance, seen, ended))
                    thread.start()
                    stack.callback(thread.join)
                    stack.callback(ended.set)  # callbacks run in reverse: it ends before it is awaited
            yield seen

    def _kill(self, instance: Instance, seen: Seen, ended: threading.Event) -> None:
        choice = random.Random(7)
        while not ended.wait(self.kill_every_s):
            alive = instance_processes(instance.instance_id)
            wanted = choice.choice(VICTIMS)
            for pid, name in alive.items():
                if name.startswith(wanted):
                    os.kill(pid, signal.SIGKILL)
                    seen.kills[wanted] = seen.kills.get(wanted, 0) + 1
                    break

    def _hang(self, instance: Instance, _: Seen, ended: threading.Event) -> None:
        if not ended.wait(STORE_FROM_S):
            with stopped_store(instance):
                ended.wait(self.store_hangs_s)

    def _throttle(self, instance: Instance, _: Seen, ended: threading.Event) -> None:
        if not ended.wait(STORE_FROM_S):
            with slow_store(instance):
                ended.wait(self.store_slow_s)

    def _measure_lag(self, instance: Instance, seen: Seen, ended: threading.Event) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {instance.api_key}"
        number = 0
        while not ended.wait(LAG_EVERY_S):
            number += 1
            word = f"lag{os.getpid()}x{number}"
            log: Any = {"timestamp": time.time_ns(), "message": word}
            try:
                if session.post(f"{instance.url}/api/v1/logs", json=log, timeout=30).status_code != 202:
                    continue
                acknowledged_s = time.monotonic()
                body: Any = {"query": word, "limit": 1, "count": "none", "from": "now-5m"}
                while time.monotonic() - acknowledged_s < LAG_GIVE_UP_S and not ended.is_set():
                    found = session.post(f"{instance.url}/api/v1/search", json=body, timeout=30)
                    if found.status_code == 200 and found.json()["logs"]:
                        seen.lags_s.append(time.monotonic() - acknowledged_s)
                        break
                    time.sleep(LAG_POLL_S)
            except requests.RequestException:
                continue  # a part of the service was just killed

    def _search(self, instance: Instance, seen: Seen, ended: threading.Event) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {instance.api_key}"
        turn = 0
        while not ended.wait(0.1):
            turn += 1
            began_s = time.monotonic()
            try:
                answer = session.post(
                    f"{instance.url}/api/v1/search",
                    json={"query": SEARCHES[turn % len(SEARCHES)]},
                    timeout=60,
                )
            except requests.RequestException:
                seen.searches_failed += 1
                continue
            if answer.status_code == 200:
                seen.searches_ms.append((time.monotonic() - began_s) * 1000)
            else:
                seen.searches_failed += 1


@contextmanager
def stopped_store(instance: Instance) -> Iterator[None]:
    """The embedded ClickHouse stands still while the context lasts."""
    processes = instance_processes(instance.instance_id)
    store = next(pid for pid, name in processes.items() if name == "EmbeddedClickHouseActor")
    os.kill(store, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(store, signal.SIGCONT)


@contextmanager
def slow_store(instance: Instance) -> Iterator[None]:
    """The embedded ClickHouse stands still most of the time while the context lasts."""
    ended = threading.Event()

    def throttle() -> None:
        while not ended.is_set():
            with stopped_store(instance):
                ended.wait(THROTTLE_PERIOD_S * THROTTLED_SHARE)
            ended.wait(THROTTLE_PERIOD_S * (1 - THROTTLED_SHARE))

    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def quantiles(values: list[float], digits: int = 2) -> dict[str, float]:
    """p50, p99 and the largest."""
    ordered = sorted(values)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(int(q * len(ordered)), len(ordered) - 1)], digits) for name, q in at.items()
    }
