"""The embedded ClickHouse as a whole: engine, endpoint and HTTP server, on a thread of its own."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings import ClickHouseSettings
from storage.embedded.endpoint import DATABASE, bind, clickhouse_directory
from storage.embedded.engine import Engine, EngineLimits
from storage.embedded.server import Server, ServerLimits


class EmbeddedClickHouse:
    """Opens chDB below a data directory and answers HTTP until closed.

    Raises StorageError when another process has the directory open.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: ClickHouseSettings | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        settings = settings or ClickHouseSettings()
        directory = clickhouse_directory(data_dir)
        self._began_s = time.monotonic()
        self._engine = Engine(directory, EngineLimits(settings.memory_bytes_max, settings.threads_max))
        self._endpoint, listener = bind(directory)
        self._server = Server(self._engine, self._endpoint.password, limits or ServerLimits())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="clickhouse-http", daemon=True)
        self._thread.start()
        self._closing = threading.Lock()
        self._closed = False
        asyncio.run_coroutine_threadsafe(self._server.start(listener), self._loop).result()

    def url(self) -> SecretStr:
        """The URL that clients are given."""
        return self._endpoint.url()

    def observe(self) -> dict[str, Any]:
        """Rows, parts and bytes stored, queries under way, seconds since the start, and where it answers."""
        rows, parts, size, queries = self._engine.scalars(
            "SELECT sum(rows), count(), sum(bytes_on_disk), (SELECT count() - 1 FROM system.processes) "
            "FROM system.parts WHERE active AND database = {database:String}",
            {"database": DATABASE},
        )
        return {
            "url": self._endpoint.address,
            "uptime_s": round(time.monotonic() - self._began_s, 1),
            "rows": int(rows),
            "parts": int(parts),
            "bytes_on_disk": int(size),
            "queries_running": int(queries),
            "statements": self._server.load(),
            "revoked_inserts": self._engine.revoked_inserts,
        }

    def close(self) -> None:
        """Stop answering and close the engine; once is enough, twice does no harm."""
        with self._closing:
            if self._closed:
                return
            asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._engine.close()
            self._closed = True
