"""A listener on real ports in front of a real partition writer and ClickHouse, in a thread of its own."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from actors.partition_writer import PartitionWriter
from actors.tcp_listener import TcpListener
from actors.writer_client import WriterClient
from core.clock import SystemClock
from core.metrics import Metrics
from core.packed_fields import unpack_fields
from core.settings import TcpSettings, TlsSettings, UdpSettings, WalSettings
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables

T = TypeVar("T")
HOST = "127.0.0.1"
PATIENCE_S = 20.0
SYSLOG = b"<14>1 2024-01-15T10:00:00Z myhost api - - - Request processed"
JSON = b'{"timestamp": "2024-01-15T10:00:00Z", "level": "info", "message": "Hello"}'


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until(found: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """Ask again until the answer is neither None nor False."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = found()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline_s, f"waited {patience_s:.0f} s in vain for {what}"
        threading.Event().wait(0.01)


def closed_by_peer(connection: socket.socket) -> bool:
    """Whether the other side ends the connection within the patience of the socket."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


class ListenerService:
    """The way of a line from a socket into the tables; everything in it is what runs in production."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        data_dir: Path,
        *,
        tls: dict[str, Any] | None = None,
        udp: bool = False,
        wal: dict[str, Any] | None = None,
        **tcp: Any,
    ) -> None:
        self.clickhouse = clickhouse
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.udp_port = free_port(socket.SOCK_DGRAM) if udp else 0
        self._tcp = TcpSettings(port=self.port, **tcp)
        self._tls = TlsSettings(port=self.tls_port, **(tls or {}))
        self._udp = UdpSettings(port=self.udp_port)
        self._wal = WalSettings(**{"flush_interval_s": 0.05, "free_disk_bytes_min": 0, **(wal or {})})
        self._data_dir = data_dir
        self.metrics = Metrics(SystemClock())
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.result(30)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the service's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def connect(self, port: int = 0) -> socket.socket:
        return socket.create_connection((HOST, port or self.port), 10)

    def send(self, data: bytes) -> None:
        """All of it on one connection, which is then closed."""
        with self.connect() as connection:
            connection.sendall(data)

    def counted(self, name: str, *labels: str) -> float:
        """A metric's value, summed over the label values that are not given."""
        series = self.metrics.snapshot().values.get(name, {})
        return sum(value for found, value in series.items() if found[: len(labels)] == labels)

    @property
    def kept(self) -> int:
        """Logs and dead letters on disk."""
        return int(self.counted("logs_ingested_total") + self.counted("dead_letters_total"))

    def wait_kept(self, count: int) -> None:
        until(lambda: self.kept >= count, f"{count} logs and dead letters")
        assert self.kept == count

    def wait_refused(self, reason: str) -> None:
        until(lambda: self.counted("tcp_connections_refused_total", reason) > 0, f"a refusal: {reason}")

    def logs(self, count: int) -> list[dict[str, Any]]:
        """All logs in the order in which they came, once there are that many; `attributes` by name."""
        logs = self._table("logs", "seq", count)
        for log in logs:
            log["attributes"] = unpack_fields(log.pop("fields") + log.pop("long_fields"))
        return logs

    def dead_letters(self, count: int) -> list[dict[str, Any]]:
        """All dead letters, once there are that many; `raw` as bytes."""
        letters = self._table("(SELECT * REPLACE(hex(raw) AS raw) FROM dead_letters)", "id", count)
        return [{**letter, "raw": bytes.fromhex(letter["raw"])} for letter in letters]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _table(self, table: str, order: str, count: int) -> list[dict[str, Any]]:
        def rows() -> list[dict[str, Any]] | None:
            found = self.clickhouse.query(f"SELECT * FROM {table} ORDER BY {order}").dicts()
            return found if len(found) >= count else None

        found = until(rows, f"{count} rows of {table}")
        assert len(found) == count, found
        return found

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        clock = SystemClock()
        store = LogTables(self.clickhouse)
        self.writer = PartitionWriter(1, self._wal, self._data_dir, store, self.metrics, clock)
        client = WriterClient([self.writer], clock, os.urandom)
        self.listener = TcpListener(self._tcp, self._tls, self._udp, client, self.metrics, clock)
        try:
            await self.listener.start()
            self._started.set_result(None)
            await self._stop.wait()
        finally:
            await self.listener.close()
            await client.close()
            await self.writer.close()


def messages(service: ListenerService) -> list[str]:
    """Of all logs in the store."""
    return [row[0] for row in service.clickhouse.query("SELECT message FROM logs").rows]
