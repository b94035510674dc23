"""What HAProxy refuses by itself, as a counter of ours: read from its statistics by one process on each node.

Every HTTP replica and every listener is ready to; whichever holds the lock of a file beside HAProxy's admin
socket does, and the kernel frees the lock when that process ends. The file says what was read last, so that
the next one neither loses nor repeats it. A HAProxy that takes over from another (Ray Serve reloads it when
replicas come and go) begins at zero: what it counts is added to what those before it had counted, each of
which has left its last numbers beside its socket.
"""

import asyncio
import contextlib
import fcntl
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import ray

from core.clock import Clock
from core.haproxy_statistics import LAST_ANSWERS, Reading, ask, read
from core.metric_names import HTTP_REFUSED
from core.metrics import Metrics
from core.settings import haproxy_admin_socket

IDLE_S: Final = 10.0
REFUSING_S: Final = 1.0  # so old is what is lost when HAProxy crashes
RECORD: Final = "refusals.json"

log = logging.getLogger(__name__)


class HAProxyRefusals:
    """Counts into this process's metrics, unless another process on the node does."""

    def __init__(self, admin_socket: Path, metrics: Metrics, clock: Clock) -> None:
        self._admin_socket, self._metrics, self._clock = admin_socket, metrics, clock
        self._record: io.FileIO | None = None  # while this process is the one that counts

    async def run(self) -> None:
        """Count for ever; a node without HAProxy is as good as one that refuses nothing."""
        while True:
            refusing = False
            try:
                refusing = await asyncio.to_thread(self.count)
            except (OSError, ValueError) as error:
                log.debug("cannot read what HAProxy has refused: %s", error)
            await self._clock.sleep(REFUSING_S if refusing else IDLE_S)

    def count(self) -> bool:
        """Read once if it is this process's part; whether anything was refused since the last reading.

        Blocks for some milliseconds. Raises OSError or ValueError when HAProxy does not answer as it should.
        """
        if not self._admin_socket.exists() or not self._holds_record():
            return False
        now = read(ask(self._admin_socket))
        refused: Counter[str] = Counter()
        # In this order: whoever answers by now, those before it have left their last answers.
        for last in self._last_answers():
            refused.update(self._since_last(last))
        refused.update(self._since_last(now))
        for reason in now.refused:  # every reason is there from the beginning
            self._metrics.count(HTTP_REFUSED, refused[reason], (reason,))
        return refused.total() > 0

    def close(self) -> None:
        """Let another process count."""
        if self._record is not None:
            self._record.close()
            self._record = None

    def _holds_record(self) -> bool:
        if self._record is None:
            path = self._admin_socket.with_name(RECORD)
            record = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
            try:
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                record.close()
                return False
            self._record = record
        return True

    def _last_answers(self) -> Iterator[Reading]:
        """Those of the processes that have ended, the oldest first; each is removed after its use."""
        files = self._admin_socket.parent.glob(LAST_ANSWERS)
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns):
            with contextlib.suppress(ValueError):
                yield read(file.read_text())
            file.unlink()

    def _since_last(self, now: Reading) -> dict[str, int]:
        """By how much the numbers have grown, which is written down before it is counted."""
        assert self._record is not None
        last = _read_record(self._record) or now
        before = last.refused if last.process == now.process else {}
        # An answer of a replica that is not finished yet lowers the difference for a moment.
        highest = {reason: max(requests, before.get(reason, 0)) for reason, requests in now.refused.items()}
        content = json.dumps(Reading(now.process, highest)).encode()
        os.pwrite(self._record.fileno(), content, 0)
        os.ftruncate(self._record.fileno(), len(content))
        return {reason: requests - before.get(reason, 0) for reason, requests in highest.items()}


def refusals_of_this_node(metrics: Metrics, clock: Clock) -> HAProxyRefusals:
    """For an actor: those of the HAProxy beside it."""
    node_id = ray.get_runtime_context().get_node_id()
    return HAProxyRefusals(haproxy_admin_socket(node_id), metrics, clock)


def _read_record(record: io.FileIO) -> Reading | None:
    """The last reading; an empty one from before anything was counted, None when it cannot be read."""
    content = os.pread(record.fileno(), 1 << 16, 0)
    if not content:
        return Reading("", {})
    try:
        process, refused = json.loads(content)
        return Reading(str(process), {str(reason): int(requests) for reason, requests in refused.items()})
    except (ValueError, AttributeError, TypeError):
        return None  # what it said may have been counted: better too little than twice
