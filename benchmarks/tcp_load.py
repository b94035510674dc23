"""A TCP load generator: a few connections that send prebuilt lines as fast as they are taken."""

import random
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.corpus import (
    ID_PLACE,
    LOGS_PER_REQUEST,
    MESSAGES,
    SERVICES,
    TIME_PLACE,
    WEIGHTS,
    Request,
    build_requests,
    places,
)

TIMEOUT_S: Final = 120
SEVERITIES: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3}
HOSTS: Final = 50
KINDS: Final = ("json", "rfc5424", "rfc3164")


def build_blocks(kind: str, count: int, seed: int = 1) -> list[Request]:
    """That many different blocks of 1000 lines; each line carries an id of 16 hexadecimal digits."""
    if kind == "json":
        return build_requests(count, seed, lines=True)
    source = random.Random(seed)
    blocks = []
    for _ in range(count):
        lines = [syslog_line(kind, source) for _ in range(LOGS_PER_REQUEST)]
        text = "".join(lines).encode()
        times = places(text, TIME_PLACE) if kind == "rfc5424" else np.zeros((0, 27), np.int64)
        blocks.append(Request(np.frombuffer(text, np.uint8).copy(), places(text, ID_PLACE), times))
    return blocks


def syslog_line(kind: str, source: random.Random) -> str:
    """A line as the daemons of 50 hosts with 20 programs each forward it; every fifth has structured data."""
    level, shape = source.choices(MESSAGES, WEIGHTS)[0]
    host, service = source.randrange(HOSTS), source.randrange(len(SERVICES))
    priority, pid = 128 + SEVERITIES[level], 1000 + host * len(SERVICES) + service
    text = f"{shape.format(n=source.randrange(100_000))} in {source.randrange(9000)} ms id={ID_PLACE}"
    if kind == "rfc3164":
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
        return f"<{priority}>{stamp} node-{host:02d} {SERVICES[service]}[{pid}]: {text}\n"
    data = f'[origin ip="10.0.0.{host}"]' if source.random() < 0.2 else "-"
    return f"<{priority}>1 {TIME_PLACE} node-{host:02d} {SERVICES[service]} {pid} REQ {data} {text}\n"


@dataclass
class TcpLoad:
    """Sends for some seconds over some connections; `sent` counts lines."""

    address: tuple[str, int]
    blocks: list[Request]
    run: int
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, duration_s: float, connections: int) -> float:
        """Seconds until everything was taken; each connection ends in an orderly way."""
        began_s = time.monotonic()
        threads = [
            threading.Thread(target=self._connection, args=(number, connections, began_s + duration_s))
            for number in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began_s

    def _connection(self, number: int, connections: int, until_s: float) -> None:
        own = self.blocks[number::connections]
        turn = 0
        with socket.create_connection(self.address, TIMEOUT_S) as connection:
            while time.monotonic() < until_s:
                connection.sendall(own[turn % len(own)].fill(self.run, self._first_number(), time.time()))
                turn += 1

    def _first_number(self) -> int:
        with self._lock:
            self.sent += LOGS_PER_REQUEST
            return self.sent - LOGS_PER_REQUEST
