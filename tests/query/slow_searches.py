"""A search that takes its time, and how to see it in the store."""

import asyncio

from core.clock import SystemClock
from storage.clickhouse import ClickHouse

SLOW = "message:/(d|a|t|e)+.*(5|6)+.*9.*[0-4]?x{1,100}y/"
ROWS = 300_000
REPETITIONS = 20
PATIENCE_S = 20


def store_many(clickhouse: ClickHouse) -> None:
    """So many logs that SLOW runs for a while."""
    clickhouse.command(
        "INSERT INTO logs (timestamp, seq, level, service, message) SELECT "
        "toDateTime64('2024-01-15 10:00:00', 9, 'UTC') + number / 100, number, 'info', 'api', "
        "concat(repeat('Database timeout after retry ', {repetitions:UInt64}), toString(number))"
        " FROM numbers({rows:UInt64})",
        {"rows": ROWS, "repetitions": REPETITIONS},
    )


async def until_running(clickhouse: ClickHouse, running: bool = True) -> None:
    """Wait until statements of such a search run in the store, or none do."""
    sql = (
        "SELECT count() AS n FROM system.processes"
        " WHERE query LIKE '%match(message%' AND query NOT LIKE '%system.processes%'"
    )
    async with asyncio.timeout(PATIENCE_S):
        while ((await asyncio.to_thread(clickhouse.rows, sql))[0]["n"] > 0) != running:
            await SystemClock().sleep(0.02)
