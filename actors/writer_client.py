"""The way from an ingest replica or a listener to the partition writers: few large calls, each stored once.

While one call to a partition is under way, the batches that come meanwhile join the next one: no added wait
when idle, 2 MB a call under load (a call costs the same milliseconds whatever its size up to that).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
import ray
from ray.exceptions import RayError, RayTaskError

from actors.placement import NAMESPACE, partition_writer_name
from core.clock import Clock
from core.errors import LograyError, Overloaded, WalError
from core.limits import MIB, REQUEST_FLATTENED_BYTES_MAX
from core.log_batch import LogBatch
from storage.wal.payload import encode, merge
from storage.wal.recent_calls import CALL_ID_BYTES
from storage.wal.shared_memory import share

CALL_BYTES: Final = 2 * MIB
CALLS_AT_ONCE: Final = 2  # per partition: one is prepared and sent while the other waits for its fsync
# Of one client, not yet handed over; past it: Overloaded. The largest batch of a request must fit.
QUEUE_BYTES_MAX: Final = REQUEST_FLATTENED_BYTES_MAX
RAY_INLINE_BYTES: Final = 100_000  # larger arguments Ray puts into its object store
MERGE_ROWS: Final = 1000  # small batches are put together up to this: each costs the reader 50 µs
CALL_DEADLINE_S: Final = 10.0  # for a writer that died to come back
RETRY_PAUSE_S_MIN: Final = 0.05
RETRY_PAUSE_S_MAX: Final = 0.5
STOPPING: Final = "cannot write the WAL: the process is stopping"

log = logging.getLogger(__name__)


class WriterGone(Exception):
    """The writer cannot be reached, or died in mid-call: whether it stored the call is not known."""


class Writer(Protocol):
    """One partition's writer, wherever it runs."""

    async def append(self, call_id: bytes, payloads: list[bytes]) -> None:
        """As PartitionWriter.append; raises WriterGone besides."""
        ...


class WriterClient:
    """Spreads batches over the partitions' writers; `random_bytes(n)` makes call ids.

    Must be used from one event loop.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        deadline_s: float = CALL_DEADLINE_S,
    ) -> None:
        self._clock, self._random_bytes, self._deadline_s = clock, random_bytes, deadline_s
        self._lanes: list[_Lane] = []
        self._turn = 0
        for writer in writers:
            self.add(writer)

    def add(self, writer: Writer) -> None:
        """Use one more partition from now on."""
        self._lanes.append(_Lane(writer, self._clock, self._random_bytes, self._deadline_s))

    async def send(self, batch: LogBatch) -> None:
        """Return once the batch is on disk.

        Raises Overloaded when a bound is reached, WalError when the partition's disk or writer fails.
        """
        if not batch.rows:
            return
        if not self._lanes:
            raise WalError("cannot write the WAL: no partition writer is known yet")
        size = batch.logs.nbytes + batch.dead_letters.nbytes
        if sum(lane.queued_bytes for lane in self._lanes) + size > QUEUE_BYTES_MAX:
            raise Overloaded("too many logs are waiting for the partition writers", 1, "client_queue_full")
        self._turn = (self._turn + 1) % len(self._lanes)
        lanes = self._lanes[self._turn :] + self._lanes[: self._turn]
        lane = min(lanes, key=lambda lane: (lane.in_trouble, lane.queued_bytes + lane.sent_bytes))
        await lane.send(batch, size)

    async def close(self) -> None:
        """End the calls under way; their senders get a WalError."""
        for lane in self._lanes:
            await lane.close()


class _Item:
    """A batch and whoever waits for it."""

    __slots__ = ("batch", "done", "size")

    def __init__(self, batch: LogBatch, size: int, done: asyncio.Future[None]) -> None:
        self.batch, self.size, self.done = batch, size, done


class _Lane:
    """The queue in front of one partition's writer."""

    def __init__(
        self, writer: Writer, clock: Clock, random_bytes: Callable[[int], bytes], deadline_s: float
    ) -> None:
        self._writer, self._clock, self._random_bytes = writer, clock, random_bytes
        self._deadline_s = deadline_s
        self._queue: deque[_Item] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self.queued_bytes = self.sent_bytes = 0
        self.in_trouble = False
        self._closed = False

    async def send(self, batch: LogBatch, size: int) -> None:
        if self._closed:
            raise WalError(STOPPING)
        item = _Item(batch, size, asyncio.get_running_loop().create_future())
        self._queue.append(item)
        self.queued_bytes += size
        self._begin_calls()
        await item.done

    async def close(self) -> None:
        self._closed = True
        waiting = list(self._queue)
        self._queue.clear()  # before the calls end: otherwise the next ones would begin
        self.queued_bytes = 0
        self._finish(waiting, WalError(STOPPING))
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def _begin_calls(self) -> None:
        # A second call only for what fills one: otherwise waiting lets batches join.
        while self._queue and (
            not self._calls or (len(self._calls) < CALLS_AT_ONCE and self.queued_bytes >= CALL_BYTES)
        ):
            items = self._take()
            call = asyncio.create_task(self._call(items))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _take(self) -> list[_Item]:
        items: list[_Item] = []
        size = 0
        while self._queue and (not items or size + self._queue[0].size <= CALL_BYTES):
            items.append(self._queue.popleft())
            size += items[-1].size
        self.queued_bytes -= size
        self.sent_bytes += size
        return items

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._begin_calls()

    async def _call(self, items: list[_Item]) -> None:
        failure: LograyError | None = WalError(STOPPING)
        try:
            payloads = [encode(batch) for batch in _put_together([item.batch for item in items])]
            await self._append(self._random_bytes(CALL_ID_BYTES), payloads)
            failure = None
        except LograyError as error:
            failure = error
        except Exception as error:
            log.exception("cannot hand logs to the partition writer")
            failure = WalError(f"cannot hand logs to the partition writer: {error!r}")
        finally:
            self.sent_bytes -= sum(item.size for item in items)
            self._finish(items, failure)

    async def _append(self, call_id: bytes, payloads: list[bytes]) -> None:
        began_s, pause_s = self._clock.monotonic_s(), RETRY_PAUSE_S_MIN
        while True:
            left_s = self._deadline_s - (self._clock.monotonic_s() - began_s)
            try:
                async with asyncio.timeout(max(left_s, 0.0)):
                    await self._writer.append(call_id, payloads)
                self.in_trouble = False
                return
            except TimeoutError:
                self.in_trouble = True
                raise WalError("cannot write the WAL: the partition writer does not answer") from None
            except WriterGone as error:
                self.in_trouble = True
                if left_s <= pause_s:
                    raise WalError("cannot write the WAL: the partition writer is away") from error
                log.warning("the partition writer is away, will try again: %s", error)
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_PAUSE_S_MAX)

    def _finish(self, items: list[_Item], failure: LograyError | None) -> None:
        for item in items:
            if item.done.done():  # its sender went away
                continue
            if failure is None:
                item.done.set_result(None)
            else:
                item.done.set_exception(failure)


def _put_together(batches: list[LogBatch]) -> list[LogBatch]:
    result: list[LogBatch] = []
    small: list[LogBatch] = []
    rows = 0
    for batch in batches:
        if small and rows + batch.rows > MERGE_ROWS:
            result.append(merge(small))
            small, rows = [], 0
        small.append(batch)
        rows += batch.rows
    result.append(merge(small))
    return result


class RayWriter:
    """A partition's writer as a Ray actor, looked up by name, again whenever it was lost.

    Large calls go through shared memory, unless the writer turns out to be on another node.
    """

    def __init__(self, partition: int) -> None:
        self._name = partition_writer_name(partition)
        self._actor: Any = None
        self._shares_memory = True

    async def append(self, call_id: bytes, payloads: list[bytes]) -> None:
        """As PartitionWriter.append; raises WriterGone besides."""
        try:
            if self._actor is None:
                self._actor = await asyncio.to_thread(ray.get_actor, self._name, NAMESPACE)
                self._shares_memory = True
            if self._shares_memory and sum(map(len, payloads)) > RAY_INLINE_BYTES:
                with share(call_id, payloads) as shared:
                    self._shares_memory = await self._actor.append_shared.remote(call_id, shared)
                if self._shares_memory:
                    return
                log.info("%s is on another node: logs go to it through Ray's object store", self._name)
            # Ray passes Arrow buffers beside its pickle: half the CPU of bytes in a call of 2 MB.
            await self._actor.append.remote(call_id, [pa.py_buffer(payload) for payload in payloads])
        except RayTaskError as error:
            if isinstance(error.cause, LograyError):
                raise error.cause from None
            raise
        except (RayError, ValueError) as error:
            self._actor = None
            raise WriterGone(f"{self._name}: {type(error).__name__}") from error
