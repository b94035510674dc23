"""Realistic logs whose identity is cheap to change: prebuilt requests, patched in place.

20 services, 10 message shapes, 6–8 additional fields, about 240 bytes of JSON a log. Every log carries a
`request_id` of 16 hexadecimal digits: 4 for the run, 12 for the log's number, so that the store can be
compared with what was acknowledged.
"""

import random
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

LOGS_PER_REQUEST: Final = 1000
RUN_DIGITS: Final = 4
ID_PLACE: Final = "0" * 16
TIME_PLACE: Final = "2026-01-01T00:00:00.000000Z"

SERVICES: Final = [
    f"{name}-{tier}"
    for name in (
        "checkout",
        "billing",
        "search",
        "login",
        "catalog",
        "cart",
        "mail",
        "stock",
        "gateway",
        "audit",
    )
    for tier in ("api", "worker")
]
MESSAGES: Final = [
    ("info", "Request processed for user {n}"),
    ("info", "GET /api/v1/items/{n} completed"),
    ("info", "Cache hit for key session:{n}"),
    ("debug", "Connection {n} returned to the pool"),
    ("info", "Order {n} accepted and queued"),
    ("warn", "Slow query on shard {n}"),
    ("info", "Message {n} consumed from topic orders"),
    ("error", "Database timeout after retry {n}"),
    ("info", "User {n} logged in"),
    ("error", "Upstream connection refused by node {n}"),
]
WEIGHTS: Final = [30, 20, 12, 10, 8, 5, 7, 3, 4, 1]


@dataclass(frozen=True, slots=True)
class Request:
    """One prebuilt body and the places in it that change from use to use."""

    body: NDArray[np.uint8]
    id_places: NDArray[np.int64]  # (logs, 16)
    time_places: NDArray[np.int64]  # (logs, 27)

    def fill(self, run: int, first_number: int, at_s: float) -> bytes:
        """The body with the ids `first_number`… of a run and a time in seconds since 1970."""
        first = (run << 48) + first_number
        ids = np.arange(first, first + len(self.id_places), dtype=">u8").tobytes().hex()
        self.body[self.id_places] = np.frombuffer(ids.encode(), np.uint8).reshape(self.id_places.shape)
        # It shares the cores of the service: digits of the time that stay are not written again.
        now = np.frombuffer(_iso(at_s).encode(), np.uint8)
        changed = np.flatnonzero((self.body[self.time_places[:1]] != now).any(axis=0))
        if len(changed):
            self.body[self.time_places[:, changed[0] :]] = now[changed[0] :]
        return self.body.tobytes()


def realistic_log(source: random.Random) -> dict[str, Any]:
    """One log; its timestamp and request_id are places to be filled."""
    level, shape = source.choices(MESSAGES, WEIGHTS)[0]
    number = source.randrange(100_000)
    log: dict[str, Any] = {
        "timestamp": TIME_PLACE,
        "level": level,
        "service": source.choice(SERVICES),
        "message": shape.format(n=number),
        "request_id": ID_PLACE,
        "host": f"node-{source.randrange(50):02d}",
        "status_code": source.choices([200, 201, 204, 301, 404, 500, 503], [70, 8, 6, 3, 8, 3, 2])[0],
        "duration_ms": int(source.paretovariate(1.2) * 5) % 9000,
        "method": source.choice(["GET", "GET", "GET", "POST", "PUT"]),
        "region": source.choice(["eu-1", "us-1", "ap-1"]),
    }
    if number % 3 == 0:
        log["user_id"] = number
    if number % 5 == 0:
        log["retry"] = True
    return log


def build_requests(count: int, seed: int = 1, *, lines: bool = False) -> list[Request]:
    """That many different bodies of 1000 logs, as a JSON array or as JSON lines."""
    source = random.Random(seed)
    requests = []
    for _ in range(count):
        logs = [orjson.dumps(realistic_log(source)) for _ in range(LOGS_PER_REQUEST)]
        text = b"\n".join(logs) + b"\n" if lines else b"[" + b",".join(logs) + b"]"
        requests.append(
            Request(np.frombuffer(text, np.uint8).copy(), places(text, ID_PLACE), places(text, TIME_PLACE))
        )
    return requests


def calibrate(requests: list[Request], rounds: int = 20) -> float:
    """µs a log to `orjson.loads` the corpus here, best of some rounds: how fast the machine is now."""
    bodies = [bytes(request.body) for request in requests[:4]]
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for body in bodies:
            orjson.loads(body)
        best = min(best, time.perf_counter() - began)
    return best * 1e6 / (len(bodies) * LOGS_PER_REQUEST)


def places(text: bytes, place: str) -> NDArray[np.int64]:
    """Where a text has a place to be filled: a row for each, with the index of each character."""
    needle = place.encode()
    found, at = [], text.find(needle)
    while at >= 0:
        found.append(at)
        at = text.find(needle, at + len(needle))
    return np.array(found)[:, None] + np.arange(len(needle))


def _iso(at_s: float) -> str:
    whole = int(at_s)
    fraction = int((at_s - whole) * 1e6)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:06d}Z"
