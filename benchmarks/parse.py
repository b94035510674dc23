"""µs a log of each way from bytes to a LogBatch, beside `orjson.loads` of the same body in the same minute.

python -m benchmarks.parse [--rounds 20]
"""

import argparse
import gc
import time
from collections.abc import Callable

from benchmarks.corpus import LOGS_PER_REQUEST, build_requests, calibrate
from core.log_batch import Received
from formats.columns import LogColumns
from formats.json_logs import parse_logs
from formats.json_record import read_record

RECEIVED = Received(1_700_000_000_000_000_000, "127.0.0.1", "http")
BODIES = 4


def exact(body: bytes) -> None:
    """Every record by itself."""
    from formats.json_logs import _elements

    columns = LogColumns()
    for raw in _elements(body):
        columns.append(*read_record(raw))
    columns.build(RECEIVED)


def array(body: bytes) -> None:
    parse_logs(body, "application/json", RECEIVED)


def lines(body: bytes) -> None:
    parse_logs(body, "application/x-ndjson", RECEIVED)


def measure(way: Callable[[bytes], None], bodies: list[bytes], rounds: int) -> float:
    """µs a log, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for body in bodies:
            way(body)
        best = min(best, time.perf_counter() - began)
    return best * 1e6 / (len(bodies) * LOGS_PER_REQUEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    requests = build_requests(BODIES)
    arrays = [request.fill(1, 1000 * n, 1_700_000_000.5) for n, request in enumerate(requests)]
    spaced = [body.replace(b'":', b'": ').replace(b',"', b', "') for body in arrays]
    line_bodies = [body[1:-1].replace(b"},{", b"}\n{") for body in arrays]
    nested = [
        body.replace(b'"host":', b'"k8s":{"pod":"a-1","labels":{"app":"x"}},"host":') for body in arrays
    ]
    escaped = [body.replace(b"for user ", b'for \\"user\\" ') for body in arrays]
    gc.freeze()
    unit = calibrate(requests, rounds)
    print(f"{'orjson.loads':24} {unit:6.2f} µs/log   1.00 ×")
    for name, way, bodies in (
        ("record by record", exact, arrays),
        ("array", array, arrays),
        ("array, json.dumps blanks", array, spaced),
        ("array, escapes", array, escaped),
        ("array, nested", array, nested),
        ("lines", lines, line_bodies),
    ):
        cost = measure(way, bodies, rounds)
        print(f"{name:24} {cost:6.2f} µs/log {cost / unit:6.2f} ×")


if __name__ == "__main__":
    main()
