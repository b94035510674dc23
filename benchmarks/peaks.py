"""High-water marks of an instance: resident memory, write-ahead log and buffers, looked at once a second."""

import threading
from typing import Final

import requests

from benchmarks.instance import Instance
from benchmarks.processes import usage_by_name
from benchmarks.scrape import scrape

EVERY_S: Final = 1.0
GAUGES: Final = ("wal_bytes", "buffered_rows", "buffered_bytes", "listener_unsent_bytes")


class Peaks:
    """Watches from its construction until `stop`."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._highest: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """The highest seen: MB of memory in all and of the ingest replicas, MB and rows that waited."""
        self._ended.set()
        self._thread.join()
        return {
            "rss_mb": self._of("rss"),
            "rss_mb_ingest_replicas": self._of("rss of ingest replicas"),
            "wal_mb": self._of("wal_bytes"),
            "buffered_mb": self._of("buffered_bytes"),
            "buffered_rows": round(self._highest.get("buffered_rows", 0.0)),
            "tcp_unsent_mb": self._of("listener_unsent_bytes"),
        }

    def _of(self, name: str) -> float:
        return round(self._highest.get(name, 0.0) / 1e6, 1)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            usage = usage_by_name(self._instance.instance_id)
            self._note("rss", sum(used.rss_bytes for used in usage.values()))
            replicas = [used for name, used in usage.items() if name.startswith("ServeReplica:ingest")]
            self._note("rss of ingest replicas", sum(used.rss_bytes for used in replicas))
            try:
                sums = scrape(self._instance, GAUGES)
            except requests.RequestException:
                continue  # a part of the service was just killed
            for name, value in sums.items():
                self._note(name, value)

    def _note(self, name: str, value: float) -> None:
        self._highest[name] = max(self._highest.get(name, 0.0), value)
