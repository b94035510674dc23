"""µs of CPU a log of each way from bytes to a LogBatch and back, beside `orjson.loads` in the same minute.

python -m benchmarks.parse [--rounds 20]
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import orjson
import pyarrow as pa
from isal import igzip

from benchmarks.corpus import LOGS_PER_REQUEST, build_requests
from core.log_batch import Received
from core.packed_fields import unpack_fields
from formats.columns import LogColumns
from formats.content_encoding import decompress
from formats.framing import Splitter
from formats.json_logs import parse_logs
from formats.json_record import read_record
from formats.restore import restore_json
from formats.syslog_columns import SyslogColumns
from formats.syslog_time import Arrival

RECEIVED = Received(1_700_000_000_000_000_000, "127.0.0.1", "http")
BODIES = 4
LINE_BYTES_MAX = 1 << 20


def array(body: bytes) -> None:
    parse_logs(body, "application/json", RECEIVED)


def lines(body: bytes) -> None:
    parse_logs(body, "application/x-ndjson", RECEIVED)


def one_by_one(body: bytes) -> None:
    columns = LogColumns()
    for raw in msgspec.json.decode(body, type=list[msgspec.Raw]):
        columns.append(*read_record(bytes(raw)))
    columns.build(RECEIVED)


def gunzip(body: bytes) -> None:
    decompress(body, "gzip")


def syslog(body: bytes) -> None:
    columns = SyslogColumns(Arrival(RECEIVED.at_ns))
    columns.add([message.decode() for message in Splitter(LINE_BYTES_MAX).feed(body)])
    columns.build(RECEIVED)


def restore(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        restore_json({**row, "attributes": unpack_fields(row["fields"] + row["long_fields"])})


def measure(way: Callable[[Any], None], bodies: Iterable[Any], rounds: int) -> float:
    """µs of CPU a log, the best of some rounds."""
    bodies = list(bodies)
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for body in bodies:
            way(body)
        best = min(best, time.process_time() - began)
    return best * 1e6 / (len(bodies) * LOGS_PER_REQUEST)


def as_syslog(body: bytes, form: str) -> bytes:
    return "".join(form.format(**log) for log in orjson.loads(body)).encode()


def as_rows(body: bytes) -> list[dict[str, Any]]:
    logs: Any = parse_logs(body, None, RECEIVED).batch.logs
    times = logs.column("timestamp").cast(pa.int64()).to_pylist()
    rows = zip(logs.to_pylist(), times, strict=True)
    return [{**row, "timestamp_ns": at, "ingested_at_ns": at, "seq": n} for n, (row, at) in enumerate(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    requests = build_requests(BODIES)
    arrays = [request.fill(1, 1000 * n, 1_700_000_000.5) for n, request in enumerate(requests)]
    spaced = [body.replace(b'":', b'": ').replace(b',"', b', "') for body in arrays]
    inner = b'"host":{"name":"a-1","labels":{"app":"x"}},"node":'
    rfc_5424 = "<14>1 {timestamp} {host} {service} 42 - - {message}\n"
    rfc_3164 = "<14>Jan 15 10:00:00 {host} {service}[42]: {message}\n"
    gc.freeze()
    unit = measure(orjson.loads, arrays, rounds)
    print(f"{'orjson.loads':26} {unit:6.2f} µs/log   1.00 ×")
    ways: list[tuple[str, Callable[[Any], None], list[Any]]] = [
        ("array", array, arrays),
        ("array, json.dumps blanks", array, spaced),
        ("array, escapes", array, [body.replace(b"for user ", b'for \\"user\\" ') for body in arrays]),
        ("array, nested", array, [body.replace(b'"host":', inner) for body in arrays]),
        ("lines", lines, [body[1:-1].replace(b"},{", b"}\n{") for body in arrays]),
        ("record by record", one_by_one, arrays),
        ("gunzip", gunzip, [igzip.compress(body) for body in arrays]),
        ("RFC 5424 lines", syslog, [as_syslog(body, rfc_5424) for body in arrays]),
        ("RFC 3164 lines", syslog, [as_syslog(body, rfc_3164) for body in arrays]),
        ("restore", restore, [as_rows(body) for body in arrays]),
    ]
    for name, way, bodies in ways:
        cost = measure(way, bodies, rounds)
        print(f"{name:26} {cost:6.2f} µs/log {cost / unit:6.2f} ×")


if __name__ == "__main__":
    main()
