"""Fills the log table on the server's side with logs like those of benchmarks.corpus.

The table grows in rounds, each spread evenly over the same ten days, so that one fill passes through every
size of a growth curve. Log n is always the same: a fill can be broken off and go on.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks.corpus import MESSAGES, SERVICES, WEIGHTS
from storage.clickhouse import ClickHouse
from storage.log_table import INSERT_SETTINGS

DAYS: Final = 10
DAY_NS: Final = 86_400 * 10**9
END_NS: Final = 1_767_225_600 * 10**9  # 2026-01-01
BEGIN_NS: Final = END_NS - DAYS * DAY_NS
CHUNK_ROWS: Final = 1_000_000  # of one insert, and so of one part; two of them take 3 GB of memory
INSERTS_AT_ONCE: Final = 2
REPEATED_CHUNKS: Final = 4  # of a broken fill
MERGES_AT_ONCE: Final = 2
MERGE_SETTINGS: Final = {
    "max_execution_time": 0,
    "optimize_skip_merged_partitions": 1,
    "optimize_throw_if_noop": 1,
}
# What the store may merge by itself, bytes: nothing, or it is in the way of merging a whole day, which waits
# two minutes for it and then does nothing.
OWN_MERGES: Final = ("max_bytes_to_merge_at_max_space_in_pool", "max_bytes_to_merge_at_min_space_in_pool")
STATUS_CODES: Final = ([200, 201, 204, 301, 404, 500, 503], [70, 8, 6, 3, 8, 3, 2])

FILL: Final = """
INSERT INTO logs (timestamp, seq, level, service, message, fields, shape, ingested_at, source_ip, method)
WITH
    x -> sipHash64(number, x) AS draw,
    (x, weights) -> arrayFirstIndex(bound -> bound > draw(x) % arraySum(weights), arrayCumSum(weights))
        AS choice,
    choice(1, {weights:Array(UInt64)}) AS shape_number,
    toString(draw(2) % 100000) AS n,
    toUInt64(least(floor(5 * pow((draw(3) + 1) / 18446744073709551616, -1 / 1.2)), 1e15)) % 9000 AS duration
SELECT
    fromUnixTimestamp64Nano(
        {begin:Int64} + toInt64(intDiv(toInt128({span:Int64}) * (number - {first:UInt64}), {rows:UInt64})),
        'UTC'
    ) AS at,
    number,
    {levels:Array(String)}[shape_number],
    {services:Array(String)}[draw(4) % 20 + 1],
    replaceOne({messages:Array(String)}[shape_number], '{n}', n),
    arrayStringConcat(arrayMap(pair -> if(pair.2 = '', '', concat('\\x1f"', pair.1, '":', pair.2)), [
        ('request_id', concat('"', lower(leftPad(hex(number), 16, '0')), '"')),
        ('host', concat('"node-', leftPad(toString(draw(5) % 50), 2, '0'), '"')),
        ('status_code', toString({codes:Array(UInt16)}[choice(6, {code_weights:Array(UInt64)})])),
        ('duration_ms', toString(duration)),
        ('method', ['"GET"', '"GET"', '"GET"', '"POST"', '"PUT"'][draw(7) % 5 + 1]),
        ('region', ['"eu-1"', '"us-1"', '"ap-1"'][draw(8) % 3 + 1]),
        ('user_id', if(toUInt64(n) % 3 = 0, n, '')),
        ('retry', if(toUInt64(n) % 5 = 0, 'true', ''))
    ])),
    '',
    at + toIntervalMillisecond(300),
    concat('10.0.0.', toString(draw(9) % 40)),
    'http'
FROM numbers({chunk:UInt64}, {count:UInt64})
"""


@dataclass(frozen=True, slots=True)
class Round:
    """Logs number `first` to `last` - 1, evenly over the ten days."""

    first: int
    last: int

    def at_ns(self, number: int) -> int:
        """The time of one of them."""
        return BEGIN_NS + DAYS * DAY_NS * (number - self.first) // (self.last - self.first)

    def days(self) -> Iterator[list[tuple[int, int]]]:
        """First number and count of each insert, always the same: of one day, as most inserts are."""
        bounds = [self.first + (self.last - self.first) * day // DAYS for day in range(DAYS + 1)]
        for begin, end in pairwise(bounds):
            yield [(first, min(CHUNK_ROWS, end - first)) for first in range(begin, end, CHUNK_ROWS)]


def rounds(sizes: Sequence[int]) -> list[Round]:
    """Those in which the table grows to each of the sizes, which ascend."""
    return [Round(first, last) for first, last in pairwise((0, *sizes))]


def stored_rows(store: ClickHouse) -> int:
    """How many logs the table has."""
    return int(store.query("SELECT count() FROM logs").rows[0][0])


def fill(store: ClickHouse, current: Round) -> None:
    """Add what is missing of a round, each day merged into one part when it is full.

    Fresh parts are half as large again: no more of them lie on the disk than those of two days.
    """
    store.command(f"ALTER TABLE logs MODIFY SETTING {', '.join(f'{name} = 1' for name in OWN_MERGES)}")
    _settle(store)  # what a broken fill left
    _fill(store, current)
    store.command(f"ALTER TABLE logs RESET SETTING {', '.join(OWN_MERGES)}")


def _fill(store: ClickHouse, current: Round) -> None:
    began, there = time.monotonic(), stored_rows(store)
    if there >= current.last:
        return
    # When a fill was broken off, a chunk before the last may be missing: the store drops what it has already.
    surely_there = there - REPEATED_CHUNKS * CHUNK_ROWS
    days = list(current.days())
    for number in range(0, DAYS, MERGES_AT_ONCE):
        chunks = [
            chunk
            for day in days[number : number + MERGES_AT_ONCE]
            for chunk in day
            if sum(chunk) > surely_there
        ]
        with ThreadPoolExecutor(INSERTS_AT_ONCE) as inserts:
            for filled in inserts.map(lambda chunk: _insert(store, current, *chunk), chunks):
                rate = (filled - max(there, current.first)) / (time.monotonic() - began)
                print(f"filled {filled:,} rows, {rate:,.0f} a second", flush=True)
        _settle(store)


def _insert(store: ClickHouse, current: Round, first: int, count: int) -> int:
    parameters = {
        "weights": WEIGHTS,
        "levels": [level for level, _ in MESSAGES],
        "messages": [message for _, message in MESSAGES],
        "services": SERVICES,
        "codes": STATUS_CODES[0],
        "code_weights": STATUS_CODES[1],
        "begin": BEGIN_NS,
        "span": DAYS * DAY_NS,
        "first": current.first,
        "rows": current.last - current.first,
        "chunk": first,
        "count": count,
    }
    own = {"max_block_size": 65_536, "max_threads": 1, "max_execution_time": 0}
    token = {"insert_deduplication_token": f"corpus-{first}-{count}"}
    store.command(FILL, parameters, {**INSERT_SETTINGS, **own, **token})
    return first + count


def _settle(store: ClickHouse) -> None:
    """Put each day's parts together, as the store does it by itself some hours after the day's end.

    Raises StorageError when it does not.
    """
    days = "SELECT partition FROM system.parts WHERE active AND table = 'logs' GROUP BY 1 HAVING count() > 1"
    statements = [f"OPTIMIZE TABLE logs PARTITION {day!r} FINAL" for (day,) in store.query(days).rows]
    with ThreadPoolExecutor(MERGES_AT_ONCE) as merges:
        list(merges.map(lambda sql: store.command(sql, settings=MERGE_SETTINGS), statements))
