"""The partition writer: takes batches, answers when they are fsynced, inserts them into ClickHouse later.

Each partition's WAL has one writer. The constructor recovers what is on disk and starts both loops, since
after a crash Ray calls nothing else.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import SecretStr
from ray.actor import ActorHandle

from actors.metrics_reporter import MetricsReporter
from actors.placement import actor_options, partition_writer_name, start_actor
from core.clock import Clock, SystemClock
from core.errors import WalError
from core.metric_names import BUFFERED_BYTES, BUFFERED_ROWS, WAL_BYTES, WAL_DAMAGED_BYTES
from core.metrics import Metrics, Snapshot
from core.settings import WalSettings
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables
from storage.wal.group_commit import GroupCommit
from storage.wal.insert_loop import InsertLoop
from storage.wal.partition_wal import PartitionWal
from storage.wal.segment import SealedSegment
from storage.wal.shared_memory import SharedPayloads, map_shared
from storage.wal.store import Store

CPUS: Final = 0.1
CALLS_MAX: Final = 512  # at once: two of each ingest replica and listener, and room for observe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriterState:
    """A writer's numbers: what is on disk, what waits for ClickHouse, what waits for the disk."""

    partition: int
    wal_bytes: int
    buffered_rows: int
    buffered_bytes: int
    sealed_segments: int
    waiting_calls: int
    damaged_bytes: int
    last_error: str


class PartitionWriter:
    """One partition's WAL and its way into the store; raises WalError when the directory cannot be used.

    Must be constructed in a running event loop.
    """

    def __init__(
        self,
        partition: int,
        settings: WalSettings,
        data_dir: Path,
        store: Store,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._partition, self._metrics, self._clock = partition, metrics, clock
        self._damaged_bytes = 0
        self._progress = asyncio.Event()
        self._wal = PartitionWal(data_dir, partition, clock)
        self._inserts = InsertLoop(self._wal, store, metrics, clock, self._inserted)
        self._commits = GroupCommit(
            self._wal, settings, metrics, clock, backlog=self._inserts.__len__, sealed=self._sealed
        )
        self._tasks = [
            asyncio.create_task(self._commits.run(), name=f"commit-{partition}"),
            asyncio.create_task(self._inserts.run(), name=f"insert-{partition}"),
        ]
        if self._inserts.rows:
            log.info("found %d rows in %d WAL segments", self._inserts.rows, len(self._inserts))
        self._report()

    async def append(self, call_id: bytes, payloads: Sequence[bytes | memoryview | pa.Buffer]) -> None:
        """Return once all payloads (storage.wal.payload) are on disk; a repeated call is answered as done.

        Raises Overloaded when a bound is reached, WalError when the disk fails or the writer has stopped.
        """
        if self._tasks[0].done():
            raise WalError("cannot write the WAL: the partition writer has stopped")
        await self._commits.append(call_id, [memoryview(payload) for payload in payloads])
        self._report()

    async def append_shared(self, call_id: bytes, shared: SharedPayloads) -> bool:
        """As append, for payloads in the memory of a client on this node; False: out of reach."""
        payloads = map_shared(call_id, shared)
        if payloads is None:
            return False
        await self.append(call_id, payloads)
        return True

    def refusal(self) -> str:
        """Why logs are refused at this moment (WAL full, disk low); empty when they are not."""
        return self._commits.refusal()

    async def drain(self, timeout_s: float) -> bool:
        """Seal and insert everything that was acknowledged; False when time ran out (it stays on disk)."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._progress.clear()
                    await self._commits.seal()
                    if not self._inserts.rows:
                        return True
                    await self._progress.wait()
        except TimeoutError:
            return False

    def observe(self) -> WriterState:
        """The numbers of this moment."""
        active = self._wal.active
        return WriterState(
            self._partition,
            self._wal.size,
            self._inserts.rows + (active.rows if active else 0),
            self._inserts.bytes + (active.size if active else 0),
            len(self._inserts),
            self._commits.waiting,
            self._wal.damaged_bytes,
            self._inserts.last_error,
        )

    def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        self._report()
        return self._metrics.snapshot()

    async def close(self) -> None:
        """Stop both loops and let go of the directory; what is not inserted stays on disk."""
        commits, inserts = self._tasks
        self._commits.stop()
        inserts.cancel()
        await asyncio.gather(commits, inserts, return_exceptions=True)
        await asyncio.to_thread(self._commits.close)
        await asyncio.to_thread(self._inserts.close)
        self._wal.close()

    def _sealed(self, segments: list[SealedSegment]) -> None:
        self._inserts.add(segments)
        self._report()

    def _inserted(self) -> None:
        self._commits.wake()
        self._progress.set()
        self._report()

    def _report(self) -> None:
        state, labels = self.observe(), (str(self._partition),)
        self._metrics.set(WAL_BYTES, state.wal_bytes, labels)
        self._metrics.set(BUFFERED_ROWS, state.buffered_rows, labels)
        self._metrics.set(BUFFERED_BYTES, state.buffered_bytes, labels)
        if state.damaged_bytes > self._damaged_bytes:
            self._metrics.count(WAL_DAMAGED_BYTES, state.damaged_bytes - self._damaged_bytes, labels)
            self._damaged_bytes = state.damaged_bytes


class PartitionWriterActor(PartitionWriter):
    """The writer in a process of its own: its store, its metrics and their report."""

    def __init__(self, partition: int, settings: WalSettings, data_dir: Path, store_url: SecretStr) -> None:
        clock = SystemClock()
        metrics = Metrics(clock)
        store = LogTables(ClickHouse(store_url))
        super().__init__(partition, settings, data_dir, store, metrics, clock)
        self._reporting = asyncio.create_task(MetricsReporter(metrics, clock).run())
        for task in self._tasks:
            task.add_done_callback(_exit_if_failed)


def _exit_if_failed(task: "asyncio.Task[None]") -> None:
    """A loop never ends by itself: after a bug of ours Ray starts a writer that recovers from the disk."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s failed, the partition writer ends", task.get_name(), exc_info=task.exception())
        os._exit(1)


def start_partition_writer(
    partition: int, settings: WalSettings, data_dir: Path, store_url: SecretStr, node_id: str
) -> "ActorHandle[Any]":
    """The partition's actor, started on its node if there is none: its WAL is on that node's disk."""
    options = actor_options(partition_writer_name(partition), CPUS, CALLS_MAX, node_id)
    return start_actor(PartitionWriterActor, options, partition, settings, data_dir, store_url)
