"""Group commit: all calls that wait are written with one write and one fsync, then answered together."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from core.clock import Clock
from core.errors import LograyError, Overloaded, WalError
from core.limits import MIB
from core.metric_names import WAL_FSYNCS
from core.metrics import Metrics
from core.settings import WalSettings
from storage.wal.disk_space import DiskSpace
from storage.wal.partition_wal import PartitionWal
from storage.wal.payload import read_head
from storage.wal.recent_calls import CALL_ID_BYTES
from storage.wal.record import HEADER_BYTES, PAYLOAD_BYTES_MAX
from storage.wal.segment import NewRecord, SealedSegment

QUEUE_CALLS_MAX: Final = 1024
QUEUE_BYTES_MAX: Final = (
    64 * MIB
)  # some 30 full calls; at 200 MB/s of disk the last waits a third of a second
COMMIT_BYTES_MAX: Final = 16 * MIB  # keeps one write short, and a segment near flush_bytes
ORDINARY_CALL_BYTES: Final = 2 * MIB  # what a sender under load puts together
PARTS_MAX: Final = 4096  # payloads of one call

STOPPING: Final = "cannot write the WAL: the writer is stopping"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    """A call that waits for its fsync."""

    call_id: bytes
    records: list[NewRecord]
    size: int
    done: asyncio.Future[None]


class GroupCommit:
    """The one producer of a WAL: appends, and seals by rows, bytes or age.

    Age counts only while `backlog()` is zero: behind a store that is slow or away, segments fill up instead.
    """

    def __init__(
        self,
        wal: PartitionWal,
        settings: WalSettings,
        metrics: Metrics,
        clock: Clock,
        *,
        backlog: Callable[[], int],
        sealed: Callable[[list[SealedSegment]], None],
    ) -> None:
        self._wal, self._settings, self._metrics, self._clock = wal, settings, metrics, clock
        self._backlog, self._sealed = backlog, sealed
        self._disk = DiskSpace(wal.directory.path, clock)
        self._thread = ThreadPoolExecutor(1, f"commit-{wal.partition}")
        self._waiting: deque[_Call] = deque()
        self._pending: dict[bytes, _Call] = {}
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._seal_waiters: list[asyncio.Future[None]] = []
        self._labels = (str(wal.partition),)
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Calls that wait for their fsync."""
        return len(self._pending)

    async def append(self, call_id: bytes, payloads: Sequence[bytes | memoryview]) -> None:
        """Return once the payloads are on disk, at once if this call has been stored before.

        Raises Overloaded when a bound is reached, WalError when the payloads are malformed or the disk fails.
        """
        if self._stopping:
            raise WalError(STOPPING)
        call = self._pending.get(call_id)
        if call is None:
            records = self._missing(call_id, payloads)
            if not records:
                return
            size = sum(HEADER_BYTES + len(record.payload) for record in records)
            self._check_bounds(size)
            call = _Call(call_id, records, size, asyncio.get_running_loop().create_future())
            self._pending[call_id] = call
            self._pending_bytes += size
            self._waiting.append(call)
            self._wake.set()
        await asyncio.shield(call.done)  # a caller that goes away must not cancel the others' answer

    def refusal(self) -> str:
        """Why a call of ordinary size would be refused at this moment; empty when it would not."""
        try:
            self._check_bounds(ORDINARY_CALL_BYTES)
        except Overloaded as refusal:
            return refusal.reason
        return ""

    def wake(self) -> None:
        """Look again whether the active segment is to be sealed."""
        self._wake.set()

    async def seal(self) -> None:
        """Seal what was appended so far, whatever its age; raises WalError when stopping."""
        if self._stopping:
            raise WalError(STOPPING)
        done = asyncio.get_running_loop().create_future()
        self._seal_waiters.append(done)
        self._wake.set()
        await done

    async def run(self) -> None:
        """Commit until told to stop; a commit that is under way is finished and answered."""
        while not self._stopping:
            await self._sleep_until_work()
            group = self._take_group()
            if group:
                await self._commit(group)
            if self._is_due() or (self._seal_waiters and not self._waiting):
                await self._seal_active()

    def stop(self) -> None:
        """Take no more, refuse what waits, and let `run` come to its end."""
        self._stopping = True
        for call in self._waiting:
            del self._pending[call.call_id]
            call.done.set_exception(WalError(STOPPING))
            call.done.exception()
        self._waiting.clear()
        for done in self._seal_waiters:
            done.set_exception(WalError(STOPPING))
            done.exception()
        self._seal_waiters.clear()
        self._wake.set()

    def close(self) -> None:
        """End the thread, after `run` has ended."""
        self._thread.shutdown(wait=True)

    def _missing(self, call_id: bytes, payloads: Sequence[bytes | memoryview]) -> list[NewRecord]:
        if len(call_id) != CALL_ID_BYTES or not 0 < len(payloads) <= PARTS_MAX:
            raise WalError(f"cannot append {len(payloads)} payloads with a call id of {len(call_id)} bytes")
        records = []
        for part in self._wal.calls.missing(call_id, len(payloads)):
            payload = payloads[part]
            if len(payload) > PAYLOAD_BYTES_MAX:
                raise WalError(f"cannot append a payload of {len(payload)} bytes")
            head = read_head(payload)
            records.append(NewRecord(call_id, part, len(payloads), head.logs, head.dead_letters, payload))
        return records

    def _check_bounds(self, size: int) -> None:
        if len(self._pending) >= QUEUE_CALLS_MAX or self._pending_bytes + size > QUEUE_BYTES_MAX:
            raise Overloaded("too many logs are waiting for the disk", 1, "queue_full")
        if self._wal.size + self._pending_bytes + size > self._settings.bytes_max:
            raise Overloaded("the write-ahead log is full", 5, "wal_full")
        if self._disk.free_bytes() - self._pending_bytes - size < self._settings.free_disk_bytes_min:
            raise Overloaded("the disk is nearly full", 10, "disk_low")

    def _take_group(self) -> list[_Call]:
        group: list[_Call] = []
        size = 0
        while self._waiting and (not group or size + self._waiting[0].size <= COMMIT_BYTES_MAX):
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group

    async def _commit(self, group: list[_Call]) -> None:
        records = [record for call in group for record in call.records]
        failure: Exception | None = None
        try:
            await self._in_thread(self._wal.commit, records)
            self._metrics.count(WAL_FSYNCS, labels=self._labels)
        except LograyError as error:
            failure = error
            log.warning("%s", error)
        except Exception as error:
            failure = WalError(f"cannot write the WAL: {error!r}")
            log.exception("cannot write the WAL")
        for call in group:
            del self._pending[call.call_id]
            self._pending_bytes -= call.size
            if failure is None:
                call.done.set_result(None)
            else:
                call.done.set_exception(failure)
                call.done.exception()  # the caller may be gone: an unread failure is no bug

    def _is_due(self) -> bool:
        if self._wal.broken:
            return True
        active = self._wal.active
        if active is None or not active.rows:
            return False
        if active.rows >= self._settings.flush_rows or active.size >= self._settings.flush_bytes:
            return True
        age_s = self._clock.monotonic_s() - active.began_s
        return age_s >= self._settings.flush_interval_s and not self._backlog()

    async def _seal_active(self) -> None:
        waiters, self._seal_waiters = self._seal_waiters, []
        self._sealed(await asyncio.get_running_loop().run_in_executor(self._thread, self._wal.seal))
        for done in waiters:
            if not done.done():
                done.set_result(None)

    async def _sleep_until_work(self) -> None:
        if self._waiting or self._seal_waiters:
            return
        self._wake.clear()
        active = self._wal.active
        timeout_s = None
        if active is not None and active.rows and not self._backlog():
            timeout_s = max(active.began_s + self._settings.flush_interval_s - self._clock.monotonic_s(), 0.0)
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _in_thread(self, work: Callable[[list[NewRecord]], None], records: list[NewRecord]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, records)
