"""Sealed segments, oldest first, into the store: read back from disk, inserted, deleted.

Only an index of the segments is held in memory, whatever the backlog. A failed insert is repeated for ever,
with the same token and growing pauses.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from core.clock import Clock
from core.errors import StorageError, WalError
from core.metric_names import INSERT_FAILURES, INSERTED_ROWS, INSERTS, REFUSED_ROWS
from core.metrics import Metrics
from storage.wal.partition_wal import PartitionWal
from storage.wal.read_back import build_tables
from storage.wal.refused_rows import as_dead_letters, insert_in_slices
from storage.wal.scan import Record
from storage.wal.segment import SealedSegment
from storage.wal.store import Store, will_pass

PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 5.0
REFUSALS_MAX: Final = 3  # of one segment for a reason that will not pass, before it is inserted in slices
KEPT_CHECK_S: Final = 1.0

log = logging.getLogger(__name__)


class InsertLoop:
    """The one consumer of a WAL's sealed segments; `changed` is called after each insert."""

    def __init__(
        self, wal: PartitionWal, store: Store, metrics: Metrics, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._wal, self._store, self._metrics, self._clock = wal, store, metrics, clock
        self._changed = changed
        self._labels = (str(wal.partition),)
        self._thread = ThreadPoolExecutor(1, f"insert-{wal.partition}")
        self._queue = deque(wal.recovered)
        self._kept: list[SealedSegment] = []
        self._wake = asyncio.Event()
        self.rows = sum(segment.rows for segment in self._queue)
        self.bytes = sum(segment.size for segment in self._queue)
        self.last_error = ""
        self._failures = 0
        self._refusals: dict[int, int] = {}

    def __len__(self) -> int:
        """Segments that are not in the store yet."""
        return len(self._queue)

    def add(self, segments: list[SealedSegment]) -> None:
        """Queue segments that were just sealed."""
        self._queue.extend(segments)
        self.rows += sum(segment.rows for segment in segments)
        self.bytes += sum(segment.size for segment in segments)
        self._wake.set()

    async def run(self) -> None:
        """Insert until cancelled."""
        while True:
            await self._delete_kept()
            if not self._queue:
                self._wake.clear()
                await self._sleep_until_woken()
                continue
            segment = self._queue[0]
            try:
                await self._in_thread(self._insert, segment)
            except FileNotFoundError:
                log.error("cannot insert %s: somebody deleted it", segment.path)
            except Exception as error:
                await self._failed(segment, error)
                continue
            self._queue.popleft()
            await self._inserted(segment)

    def close(self) -> None:
        """Let a running insert end in its thread; no other is begun."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _failed(self, segment: SealedSegment, error: Exception) -> None:
        self._failures += 1
        self._metrics.count(INSERT_FAILURES, labels=self._labels)
        if str(error) != self.last_error:
            known = isinstance(error, (StorageError, OSError))
            log.warning("cannot insert, will try again: %s", error, exc_info=None if known else error)
        self.last_error = str(error)
        refused = isinstance(error, StorageError) and not will_pass(error)
        if refused:
            self._refusals[segment.segment_id] = self._refusals.get(segment.segment_id, 0) + 1
        if self._refusals.get(segment.segment_id, 0) > REFUSALS_MAX or isinstance(error, OSError):
            self._queue.rotate(-1)  # the others must not wait for it
        await self._clock.sleep(min(PAUSE_S_MIN * 2 ** min(self._failures - 1, 10), PAUSE_S_MAX))

    async def _inserted(self, segment: SealedSegment) -> None:
        self._failures = 0
        self._refusals.pop(segment.segment_id, None)
        self.last_error = ""
        self.rows -= segment.rows
        self.bytes -= segment.size
        self._metrics.count(INSERTS, labels=self._labels)
        self._metrics.count(INSERTED_ROWS, segment.rows, self._labels)
        self._kept.append(segment)
        await self._delete_kept()
        self._changed()

    async def _delete_kept(self) -> None:
        now_s = self._clock.monotonic_s()
        for segment in [kept for kept in self._kept if kept.keep_until_s <= now_s]:
            self._kept.remove(segment)
            try:
                await self._in_thread(self._wal.remove, segment)
            except OSError as error:
                # Harmless: after the next start it is inserted again, with the same token.
                log.warning("cannot delete %s: %s", segment.path, error.strerror)

    async def _sleep_until_woken(self) -> None:
        try:
            async with asyncio.timeout(KEPT_CHECK_S if self._kept else None):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _insert(self, segment: SealedSegment) -> None:
        def unreadable(record: Record, error: WalError) -> None:
            log.error("setting a WAL record of %d bytes aside: %s", len(record.payload), error)
            self._wal.set_aside(segment, record)

        token = self._wal.token(segment)
        tables = build_tables(self._wal.read(segment), unreadable)
        if tables.logs.num_rows:
            try:
                self._store.insert_logs(tables.logs, token)
            except StorageError as error:
                if self._refusals.get(segment.segment_id, 0) < REFUSALS_MAX or will_pass(error):
                    raise
                refused = insert_in_slices(self._store.insert_logs, tables.logs, token, error)
                if refused:
                    rows = sum(piece.rows for piece in refused)
                    log.error("clickhouse refuses %d logs, kept as dead letters: %s", rows, refused[0].reason)
                    self._store.insert_dead_letters(as_dead_letters(tables.logs, refused), f"{token}-refused")
                    self._metrics.count(REFUSED_ROWS, rows, self._labels)
        if tables.dead_letters.num_rows:
            self._store.insert_dead_letters(tables.dead_letters, token)
