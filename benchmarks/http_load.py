"""An HTTP load generator: a few keep-alive connections that send prebuilt requests."""

import gzip
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from benchmarks.corpus import LOGS_PER_REQUEST, Request
from benchmarks.ledger import Ledger

TIMEOUT_S: Final = 30
SEND_BUFFER_BYTES: Final = 512 << 10  # a request at once: the generator shares the cores of the service
PAUSE_AFTER_FAILURE_S: Final = 0.2


@dataclass
class Outcome:
    """What the answers were: (moment, time to the acknowledgement) in seconds, refusals, failures."""

    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)  # 429 and 503
    without_retry_after: int = 0  # of the refusals
    failed: int = 0  # anything else, and broken connections
    lasted_s: float = 0.0

    @property
    def refused(self) -> int:
        """Refusals of either kind."""
        return self.refusals.total()

    @property
    def answered(self) -> int:
        """Requests that were sent, whatever came of them."""
        return len(self.acknowledged) + self.refused + self.failed


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to send, how fast (logs a second; 0: as fast as it goes), how long, over how many connections.

    After a refusal a connection rests, as a polite sender does; without a rest, more connections than the
    service has requests under way make an open loop: requests come at the rate, whatever the answers are.
    """

    host: str
    port: int
    api_key: str
    rate: float
    duration_s: float
    connections: int
    compressed: bool = False
    rest_after_refusal_s: float = PAUSE_AFTER_FAILURE_S


class Answer(NamedTuple):
    """The status (0: there was none), whether it says when to come back, whether the connection ends."""

    status: int
    retry_after: bool = False
    closing: bool = False


class HttpLoad:
    """Runs one plan; each connection is a thread, which mostly waits in the kernel."""

    def __init__(self, plan: Plan, requests: list[Request], ledger: Ledger) -> None:
        self._plan, self._requests, self._ledger = plan, requests, ledger
        self._began_s = 0.0
        self._sent = 0
        self._lock = threading.Lock()
        self._filling = threading.Lock()  # a request is filled in place
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End before the time is over."""
        self._stopped.set()

    def run(self) -> Outcome:
        """Send until the time is over; the answers to what was sent are awaited."""
        outcomes = [Outcome() for _ in range(self._plan.connections)]
        self._began_s = time.monotonic()
        threads = [threading.Thread(target=self._connection, args=(outcome,)) for outcome in outcomes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Outcome(
            sorted(pair for outcome in outcomes for pair in outcome.acknowledged),
            sum((outcome.refusals for outcome in outcomes), Counter()),
            sum(outcome.without_retry_after for outcome in outcomes),
            sum(outcome.failed for outcome in outcomes),
            time.monotonic() - self._began_s,
        )

    def _connection(self, outcome: Outcome) -> None:
        connection: socket.socket | None = None
        while self._wait_for_turn():
            ticket = self._ledger.number()
            request = self._requests[ticket % len(self._requests)]
            with self._filling:
                body = request.fill(self._ledger.run, ticket * LOGS_PER_REQUEST, time.time())
            began_s = time.monotonic()
            try:
                connection = connection or self._connect()
                answer = self._exchange(connection, body)
            except OSError:
                answer = Answer(0, closing=True)
            if answer.closing and connection is not None:
                connection.close()
                connection = None
            ended_s = time.monotonic()
            if answer.status == 202:
                self._ledger.acknowledge(ticket)
                outcome.acknowledged.append((ended_s - self._began_s, ended_s - began_s))
                continue
            if answer.status in (429, 503):
                outcome.refusals[answer.status] += 1
                outcome.without_retry_after += not answer.retry_after
                time.sleep(self._plan.rest_after_refusal_s)
            else:
                outcome.failed += 1
                time.sleep(PAUSE_AFTER_FAILURE_S)
        if connection is not None:
            connection.close()

    def _wait_for_turn(self) -> bool:
        """Wait until the rate allows one more request; False when the time is over."""
        with self._lock:
            position = self._sent
            self._sent += 1
        due_s = position * LOGS_PER_REQUEST / self._plan.rate if self._plan.rate else 0.0
        elapsed_s = time.monotonic() - self._began_s
        if max(due_s, elapsed_s) >= self._plan.duration_s:
            return False
        return not self._stopped.wait(max(due_s - elapsed_s, 0.0))

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._plan.host, self._plan.port), TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return connection

    def _exchange(self, connection: socket.socket, body: bytes) -> Answer:
        encoding = ""
        if self._plan.compressed:
            body = gzip.compress(body, 1)
            encoding = "Content-Encoding: gzip\r\n"
        head = (
            f"POST /api/v1/logs HTTP/1.1\r\nHost: {self._plan.host}\r\n"
            f"Authorization: Bearer {self._plan.api_key}\r\n"
            f"Content-Type: application/json\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return _read_answer(connection)


def _read_answer(connection: socket.socket) -> Answer:
    """Read one whole answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    while len(body) < int(headers.get(b"content-length", 0)):
        body += _more(connection)
    return Answer(
        int(lines[0].split(b" ", 2)[1]), b"retry-after" in headers, headers.get(b"connection") == b"close"
    )


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the service closed the connection")
    return data
