"""A search that takes its time, and how to see it in the store."""

import asyncio

from core.clock import SystemClock
from storage.clickhouse import ClickHouse

SLOW = "message:/(d|a|t|e)+.*(5|6)+.*9.*[0-4]?x{1,100}y/"
ROWS = 1_000_000
PATIENCE_S = 20


def store_many(clickhouse: ClickHouse) -> None:
    """So many logs that SLOW runs for a while."""
    clickhouse.command(
        "INSERT INTO logs (timestamp, seq, level, service, message) SELECT "
        "toDateTime64('2024-01-15 10:00:00', 9, 'UTC') + number / 100, number, 'info', 'api', "
        "concat('Database timeout after retry ', toString(number)) FROM numbers({rows:UInt64})",
        {"rows": ROWS},
    )


async def until_running(clickhouse: ClickHouse, count: int) -> None:
    """Wait until so many of those searches run in the store."""
    sql = (
        "SELECT count() AS n FROM system.processes"
        " WHERE query LIKE '%match(message%' AND query NOT LIKE '%system.processes%'"
    )
    async with asyncio.timeout(PATIENCE_S):
        while (await asyncio.to_thread(clickhouse.rows, sql))[0]["n"] != count:
            await SystemClock().sleep(0.02)
