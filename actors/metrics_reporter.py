"""Sends a process's numbers to the metrics hub: at once when they change, at most once a second."""

import asyncio
import logging
import os
import socket
import uuid
from typing import Any, Final

import ray
from ray.exceptions import RayError

from actors.placement import METRICS_HUB, NAMESPACE
from core.clock import Clock
from core.metrics import Metrics, Snapshot

log = logging.getLogger(__name__)
INTERVAL_S: Final = 1.0
HEARTBEAT_S: Final = 15.0  # well under the hub's patience, so that an idle process stays known
ANSWER_S: Final = 10.0


class MetricsReporter:
    """Reports one process; a lost report does no harm, the next one carries the totals."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._reported: Snapshot | None = None
        self._reported_at_s = -HEARTBEAT_S
        self._hub: Any = None

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self._clock.sleep(INTERVAL_S)
            try:
                await self._report()
            except (RayError, ValueError, TimeoutError) as error:
                self._hub = None
                log.debug("cannot report metrics: %s", error)

    async def _report(self) -> None:
        snapshot = self._metrics.snapshot()
        now_s = self._clock.monotonic_s()
        if snapshot == self._reported and now_s - self._reported_at_s < HEARTBEAT_S:
            return
        if self._hub is None:
            self._hub = ray.get_actor(METRICS_HUB, NAMESPACE)
        await asyncio.wait_for(self._hub.report.remote(self._process, snapshot), ANSWER_S)
        self._reported, self._reported_at_s = snapshot, now_s
