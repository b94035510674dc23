"""A partition writer in a process of its own, to be killed."""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from actors.partition_writer import PartitionWriter
from core.clock import SystemClock
from core.metrics import Metrics
from core.settings import WalSettings
from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import embedded_url
from storage.log_table import LogTables
from storage.wal.payload import encode
from tests.storage.wal.batches import batch

LOGS_PER_CALL = 20
SENDERS = 4
SETTINGS = WalSettings(flush_interval_s=0.02, free_disk_bytes_min=0)


def append_for_ever(data_dir: Path, first: int, acknowledged: Connection) -> None:
    """Append numbered calls from `first` on, and send each number when it is on disk."""

    async def send(writer: PartitionWriter, number: int) -> None:
        while True:
            logs = batch(*(f"{number}-{n}" for n in range(LOGS_PER_CALL)))
            await writer.append(number.to_bytes(16, "big"), [encode(logs)])
            acknowledged.send(number)
            number += SENDERS

    async def run() -> None:
        writer = start(data_dir)
        await asyncio.gather(*(send(writer, first + sender) for sender in range(SENDERS)))

    asyncio.run(run())


def start(data_dir: Path) -> PartitionWriter:
    url = embedded_url(data_dir)
    assert url is not None
    clock = SystemClock()
    return PartitionWriter(0, SETTINGS, data_dir, LogTables(ClickHouse(url)), Metrics(clock), clock)
