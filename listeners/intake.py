"""The intake: messages of all connections go to the partition writers, in batches that form by themselves.

What is read while earlier batches are under way joins the next one. Nothing is given up: a batch that is
refused is sent again until it is stored. When too much is unsent, the listener is told to stop reading.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from core.clock import Clock
from core.errors import LograyError, Overloaded
from core.limits import BATCH_FLATTENED_BYTES_MAX, MIB
from core.log_batch import LogBatch
from core.metric_names import BACKPRESSURE, DEAD_LETTERS, LOGS_INGESTED, PAUSED, REJECTED, UNSENT_BYTES
from core.metrics import Metrics
from formats.flattened_size import how_many_fit
from listeners.messages import Lines, MessageReader
from storage.wal.payload import merge

BATCH_BYTES: Final = 2 * MIB  # a call to a writer costs the same up to this
BATCH_MESSAGES: Final = 10_000  # the loop is busy for a tenth of a second with so many at most
MESSAGE_OVERHEAD_BYTES: Final = 64  # of a message in memory, beside its bytes
SENDS_AT_ONCE: Final = 2  # one is read and prepared while the other is written
PIECE_BYTES_MAX: Final = 8 * MIB  # names of nested fields can make a row much larger than its message
RETRY_PAUSE_S_MIN: Final = 0.05
RETRY_PAUSE_S_MAX: Final = 1.0

log = logging.getLogger(__name__)


class Writers(Protocol):
    """The partition writers, as a listener sees them."""

    async def send(self, batch: LogBatch) -> None:
        """Return when the batch is fsynced; raise Overloaded or WalError if it will not be."""
        ...


class _Read(NamedTuple):
    """What one read brought: some messages of one sender; or a finished batch."""

    messages: list[bytes]
    source_ip: str
    size: int
    batch: LogBatch | None = None


class Intake:
    """Collects, reads and sends the messages of one method.

    `paused(True)` is called when `unsent_bytes_max` is reached, `paused(False)` when half of it is free.
    """

    def __init__(
        self,
        method: str,
        reader: MessageReader,
        writers: Writers,
        unsent_bytes_max: int,
        metrics: Metrics,
        clock: Clock,
        paused: Callable[[bool], None],
    ) -> None:
        self._method, self._reader, self._writers = method, reader, writers
        self._unsent_bytes_max, self._metrics, self._clock = unsent_bytes_max, metrics, clock
        self._paused = paused
        self._reads: deque[_Read] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._slots = asyncio.Semaphore(SENDS_AT_ONCE)
        self._sends: set[asyncio.Task[None]] = set()
        self.full = False
        self.unsent_bytes = 0
        self.last_error = ""

    def add(self, messages: list[bytes], source_ip: str) -> None:
        """Take messages, none of them empty; they count as unsent until they are on disk."""
        self._take_in(_Read(messages, source_ip, _size(messages)))

    def reject(self, reason: str, raw: bytes, source_ip: str) -> None:
        """Take bytes that are no message: a dead letter."""
        batch = self._reader.dead_letter(reason, raw, source_ip, self._clock.now_ns())
        self._take_in(_Read([], source_ip, len(raw) + MESSAGE_OVERHEAD_BYTES, batch))

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._slots.acquire()
            while not self._reads:
                self._wake.clear()
                await self._wake.wait()
            size, batch = self._next_batch()
            send = asyncio.create_task(self._send(batch, size))
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

    async def flush(self) -> None:
        """Return when everything that was taken is on disk."""
        while self.unsent_bytes:
            self._empty.clear()
            await self._empty.wait()

    async def close(self) -> None:
        """Give up what is under way."""
        sends = list(self._sends)
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)

    def report(self) -> None:
        """Set the gauges."""
        self._metrics.set(UNSENT_BYTES, self.unsent_bytes, (self._method,))
        self._metrics.set(PAUSED, float(self.full), (self._method,))

    def _take_in(self, read: _Read) -> None:
        self._reads.append(read)
        self.unsent_bytes += read.size
        self._wake.set()
        if not self.full and self.unsent_bytes >= self._unsent_bytes_max:
            self.full = True
            self._paused(True)

    def _next_batch(self) -> tuple[int, LogBatch]:
        """What was received first, as much as is worth a call, and its size."""
        lines = Lines([], [])
        batches: list[LogBatch] = []
        size = 0
        while self._reads and size < BATCH_BYTES and len(lines.messages) < BATCH_MESSAGES:
            read = self._reads.popleft()
            if read.batch is not None:
                batches.append(read.batch)
                size += read.size
                continue
            room = BATCH_MESSAGES - len(lines.messages)
            if len(read.messages) > room:
                read, rest = _divide(read, room)
                self._reads.appendleft(rest)
            lines.messages.extend(read.messages)
            lines.source_ips.extend([read.source_ip] * len(read.messages))
            size += read.size
        if lines.messages:
            fitting = how_many_fit(lines.messages, BATCH_FLATTENED_BYTES_MAX)
            if fitting < len(lines.messages):
                lines, unread = _cut(lines, fitting)
                self._reads.extendleft(reversed(unread))
                size -= sum(read.size for read in unread)
            batches.append(self._reader.read(lines, self._clock.now_ns()))
        return size, merge(batches)

    async def _send(self, batch: LogBatch, size: int) -> None:
        try:
            for piece in _pieces(batch):
                await self._send_until_stored(piece)
        finally:
            self.unsent_bytes -= size
            self._slots.release()
            if not self.unsent_bytes:
                self._empty.set()
            if self.full and self.unsent_bytes <= self._unsent_bytes_max // 2:
                self.full = False
                self._paused(False)

    async def _send_until_stored(self, batch: LogBatch) -> None:
        pause_s = RETRY_PAUSE_S_MIN
        while True:
            try:
                await self._writers.send(batch)
                break
            except Overloaded as error:
                self._metrics.count(BACKPRESSURE, 1, (self._method,))
                self._trouble(error)
            except Exception as error:  # even our own bug must not cost what was read
                self._trouble(error)
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_PAUSE_S_MAX)
        self.last_error = ""
        self._metrics.count(LOGS_INGESTED, batch.logs.num_rows, (self._method,))
        if batch.dead_letters.num_rows:
            self._count_dead_letters(batch)

    def _trouble(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, LograyError) else repr(error)
        if reason != self.last_error:
            self.last_error = reason
            log.warning("cannot store what was read, will try again: %s", reason)

    def _count_dead_letters(self, batch: LogBatch) -> None:
        self._metrics.count(DEAD_LETTERS, batch.dead_letters.num_rows, (self._method,))
        # Only the part before the value: a label must not grow with what clients send.
        reasons = [
            str(reason).partition(":")[0] for reason in batch.dead_letters.column("reason").to_pylist()
        ]
        for reason, count in Counter(reasons).items():
            self._metrics.count(REJECTED, count, (reason,))


def _size(messages: list[bytes]) -> int:
    return sum(map(len, messages)) + MESSAGE_OVERHEAD_BYTES * len(messages)


def _cut(lines: Lines, messages: int) -> tuple[Lines, list[_Read]]:
    """The first messages, and the rest as it was read."""
    unread = []
    pairs = zip(lines.source_ips[messages:], lines.messages[messages:], strict=True)
    for source_ip, group in groupby(pairs, itemgetter(0)):
        rest = [message for _, message in group]
        unread.append(_Read(rest, source_ip, _size(rest)))
    return Lines(lines.messages[:messages], lines.source_ips[:messages]), unread


def _divide(read: _Read, messages: int) -> tuple[_Read, _Read]:
    first = read.messages[:messages]
    size = _size(first)
    return read._replace(messages=first, size=size), read._replace(
        messages=read.messages[messages:], size=read.size - size
    )


def _pieces(batch: LogBatch) -> Iterator[LogBatch]:
    """The batch in pieces that a writer will take."""
    logs, letters = batch.logs, batch.dead_letters
    if batch.rows < 2 or logs.nbytes + letters.nbytes <= PIECE_BYTES_MAX:
        yield batch
    elif logs.num_rows and letters.num_rows:
        yield from _pieces(LogBatch(logs, letters.slice(0, 0)))
        yield from _pieces(LogBatch(logs.slice(0, 0), letters))
    else:
        first, second = logs.num_rows // 2, letters.num_rows // 2
        yield from _pieces(LogBatch(logs.slice(0, first), letters.slice(0, second)))
        yield from _pieces(LogBatch(logs.slice(first), letters.slice(second)))
