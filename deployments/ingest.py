"""The ingest deployment: `POST /api/v1/logs`, from the request's bytes to the fsynced WAL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from core.clock import Clock
from core.errors import MalformedBody, Overloaded
from core.limits import MIB, REPORTED_ERRORS_MAX, REQUEST_BODY_BYTES_MAX
from core.log_batch import LogBatch, Received
from core.metric_names import BACKPRESSURE, DEAD_LETTERS, INGESTION_LATENCY, LOGS_INGESTED, REJECTED
from core.metrics import Metrics
from deployments.answers import json_response, read_body
from deployments.haproxy.amended_haproxy import ROOM_HEADER
from formats.content_encoding import decompress
from formats.json_logs import ParsedLogs, parse_logs, unparseable

METHOD: Final = "http"
BODIES_BYTES_MAX: Final = 128 * MIB  # of one replica, half of them read on average
UNSTORED_BYTES_MAX: Final = 16 * MIB  # of one replica: as much as is stored in half a second
# What HAProxy is told of it: enough to keep both cores busy, and an acknowledgement in an overload takes a
# fifth of a second instead of half of one. The rest is for bursts and for requests that are on their way.
OFFERED_BYTES_MAX: Final = 6 * MIB


class Writers(Protocol):
    """The partition writers, as the ingest sees them."""

    async def send(self, batch: LogBatch) -> None:
        """Return when the batch is fsynced; raise Overloaded or WalError if it will not be."""
        ...


class Bodies:
    """The bytes of the bodies that are coming in, and of those that were read and are not stored yet.

    Slow clients with large bodies must not fill the memory; and what cannot be stored soon is refused before
    it costs anything: parsing takes most of a replica's time, an overload must not spend it on refusals.
    """

    def __init__(
        self,
        metrics: Metrics,
        bytes_max: int = BODIES_BYTES_MAX,
        unstored_bytes_max: int = UNSTORED_BYTES_MAX,
    ) -> None:
        self._metrics, self._bytes_max, self._unstored_bytes_max = metrics, bytes_max, unstored_bytes_max
        self._bytes = self._unstored_bytes = 0

    @contextmanager
    def room_for(self, request: Request) -> Iterator[None]:
        """Hold as much as the request declares, or may have, until it is read. Raises Overloaded."""
        self._refuse_if_busy()
        declared = request.headers.get("content-length", "")
        size = min(int(declared), REQUEST_BODY_BYTES_MAX) if declared.isdigit() else REQUEST_BODY_BYTES_MAX
        if self._bytes + size > self._bytes_max:
            self._metrics.count(BACKPRESSURE, 1, ("bodies",))
            raise Overloaded("too many requests are coming in at once", 1, "bodies")
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size

    @contextmanager
    def unstored(self, body: bytes) -> Iterator[None]:
        """Hold a body until it is stored. Raises Overloaded: others were read sooner than it."""
        self._refuse_if_busy()
        self._unstored_bytes += len(body)
        try:
            yield
        finally:
            self._unstored_bytes -= len(body)

    @property
    def room(self) -> int:
        """Bytes of further bodies that HAProxy may pass on to this replica."""
        return max(OFFERED_BYTES_MAX - self._unstored_bytes, 0)

    def _refuse_if_busy(self) -> None:
        if self._unstored_bytes >= self._unstored_bytes_max:
            self._metrics.count(BACKPRESSURE, 1, ("unstored",))
            raise Overloaded("too many logs are waiting for the partition writers", 1, "unstored")


class Ingest:
    """Takes a request apart, hands its batch to a writer, and answers when that is on disk."""

    def __init__(self, writers: Writers, metrics: Metrics, clock: Clock) -> None:
        self._writers, self._metrics, self._clock = writers, metrics, clock
        self._bodies = Bodies(metrics)

    async def post_logs(self, request: Request) -> Response:
        """202 with the number of stored logs, 400 if none could be stored."""
        with self._bodies.room_for(request):
            body = await read_body(request, REQUEST_BODY_BYTES_MAX)
        with self._bodies.unstored(body):
            response = await self._store_body(request, body)
        response.headers[ROOM_HEADER] = str(self._bodies.room)
        return response

    async def _store_body(self, request: Request, body: bytes) -> Response:
        began_s = self._clock.monotonic_s()
        received = Received(self._clock.now_ns(), request.client.host if request.client else "", METHOD)
        try:
            content = decompress(body, request.headers.get("content-encoding"))
            parsed = parse_logs(content, request.headers.get("content-type"), received)
        except MalformedBody as error:
            # The raw body is what the sender will ask for: it is kept before the refusal is sent.
            await self._store(unparseable(body, str(error), received))
            self._metrics.count(REJECTED, 1, ("malformed_body",))
            raise
        await self._store(parsed.batch)
        self._metrics.observe(INGESTION_LATENCY, self._clock.monotonic_s() - began_s)
        self._count_rejected(parsed)
        return json_response(answer(parsed), 202 if parsed.accepted else 400)

    async def _store(self, batch: LogBatch) -> None:
        try:
            await self._writers.send(batch)
        except Overloaded as refusal:
            self._metrics.count(BACKPRESSURE, 1, (refusal.bound,))
            raise
        self._metrics.count(LOGS_INGESTED, batch.logs.num_rows, (METHOD,))
        if batch.dead_letters.num_rows:
            self._metrics.count(DEAD_LETTERS, batch.dead_letters.num_rows, (METHOD,))

    def _count_rejected(self, parsed: ParsedLogs) -> None:
        for _, reason in parsed.errors:
            # Only the part before the value: a label must not grow with what clients send.
            self._metrics.count(REJECTED, 1, (reason.partition(":")[0],))


def answer(parsed: ParsedLogs) -> dict[str, object]:
    """The body of the answer: how many were stored, how many were not, and the first reasons."""
    if not parsed.errors:
        return {"ingested": parsed.accepted}
    return {
        "ingested": parsed.accepted,
        "rejected": len(parsed.errors),
        "errors": [
            {"index": index, "reason": reason} for index, reason in parsed.errors[:REPORTED_ERRORS_MAX]
        ],
    }
