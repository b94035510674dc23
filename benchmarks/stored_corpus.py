"""Fills the log table on the server's side with logs like those of benchmarks.corpus.

Ten days, evenly spread; log n is always the same, so that a fill can be broken off and go on.
"""

import time
from typing import Final

from benchmarks.corpus import MESSAGES, SERVICES, WEIGHTS
from storage.clickhouse import ClickHouse

DAYS: Final = 10
DAY_NS: Final = 86_400 * 10**9
END_NS: Final = 1_767_225_600 * 10**9  # 2026-01-01
BEGIN_NS: Final = END_NS - DAYS * DAY_NS
CHUNK_ROWS: Final = 2_000_000
STATUS_CODES: Final = ([200, 201, 204, 301, 404, 500, 503], [70, 8, 6, 3, 8, 3, 2])
MERGES_WAIT_S: Final = 900

FILL: Final = """
INSERT INTO logs (timestamp, seq, level, service, message, attributes, shape, ingested_at, source_ip, method)
WITH
    x -> sipHash64(number, x) AS draw,
    (x, weights) -> arrayFirstIndex(bound -> bound > draw(x) % arraySum(weights), arrayCumSum(weights))
        AS choice,
    choice(1, {weights:Array(UInt64)}) AS shape_number,
    toString(draw(2) % 100000) AS n,
    toUInt64(least(floor(5 * pow((draw(3) + 1) / 18446744073709551616, -1 / 1.2)), 1e15)) % 9000 AS duration
SELECT
    fromUnixTimestamp64Nano(
        toInt64({begin:Int64} + intDiv(toInt128({span:Int64}) * number, {rows:UInt64})), 'UTC'
    ) AS at,
    number,
    {levels:Array(String)}[shape_number],
    {services:Array(String)}[draw(4) % 20 + 1],
    replaceOne({messages:Array(String)}[shape_number], '{n}', n),
    CAST(arrayFilter(pair -> pair.2 != '', [
        ('request_id', concat('"', lower(leftPad(hex(number), 16, '0')), '"')),
        ('host', concat('"node-', leftPad(toString(draw(5) % 50), 2, '0'), '"')),
        ('status_code', toString({codes:Array(UInt16)}[choice(6, {code_weights:Array(UInt64)})])),
        ('duration_ms', toString(duration)),
        ('method', ['"GET"', '"GET"', '"GET"', '"POST"', '"PUT"'][draw(7) % 5 + 1]),
        ('region', ['"eu-1"', '"us-1"', '"ap-1"'][draw(8) % 3 + 1]),
        ('user_id', if(toUInt64(n) % 3 = 0, n, '')),
        ('retry', if(toUInt64(n) % 5 = 0, 'true', ''))
    ]), 'Map(LowCardinality(String), String)'),
    '',
    at + toIntervalMillisecond(300),
    concat('10.0.0.', toString(draw(9) % 40)),
    'http'
FROM numbers({first:UInt64}, {count:UInt64})
"""


def fill(store: ClickHouse, rows: int) -> None:
    """Bring the table to that many rows; what is there already stays."""
    there = int(store.query("SELECT count() FROM logs").rows[0][0])
    for first in range(there, rows, CHUNK_ROWS):
        began = time.monotonic()
        count = min(CHUNK_ROWS, rows - first)
        store.command(
            FILL,
            {
                "weights": WEIGHTS,
                "levels": [level for level, _ in MESSAGES],
                "messages": [message for _, message in MESSAGES],
                "services": SERVICES,
                "codes": STATUS_CODES[0],
                "code_weights": STATUS_CODES[1],
                "begin": BEGIN_NS,
                "span": DAYS * DAY_NS,
                "rows": rows,
                "first": first,
                "count": count,
            },
            {"max_insert_threads": 2, "max_execution_time": 0},
        )
        rate = count / (time.monotonic() - began)
        print(f"filled {first + count:,} rows, {rate:,.0f} a second", flush=True)


def wait_for_merges(store: ClickHouse) -> None:
    """Wait until the store has put its parts together, as it does in quiet hours."""
    deadline = time.monotonic() + MERGES_WAIT_S
    while time.monotonic() < deadline:
        if not store.query("SELECT count() FROM system.merges").rows[0][0]:
            return
        time.sleep(1)
