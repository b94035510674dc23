"""chDB opened on a directory, by one process at a time."""

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chdb.state import connect

from core.errors import StorageError
from storage.embedded.connections import Connections, Session
from storage.embedded.deduplication_log import mend_deduplication_logs
from storage.embedded.file_in_memory import FileInMemory
from storage.embedded.statement import Kind, Statement

LOCK_POLL_S: Final = 0.05
LOCK_WAIT_S: Final = 10.0  # a killed process leaves the lock at once, one that ends properly within seconds

MIB: Final = 1 << 20
SERVER_CONFIGURATION: Final = Path(__file__).with_name("server.xml")


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What the engine may use: bytes of memory in all, threads for one query."""

    memory_bytes_max: int = 4096 * MIB
    threads_max: int = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer and what it cost."""

    body: bytes
    result_rows: int = 0
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0


class Engine:
    """chDB on a directory. Its methods block; any number of threads may call them.

    The first connection stays open and keeps the engine alive.
    Raises StorageError when another process has the directory open.
    """

    def __init__(self, directory: Path, limits: EngineLimits = EngineLimits()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = str(directory / "store")
        self._lock = _lock(directory / "lock")
        self.revoked_inserts = mend_deduplication_logs(Path(self._path))
        settings = {"config-file": SERVER_CONFIGURATION, **_server_settings(limits)}
        options = "&".join(f"{name}={value}" for name, value in settings.items())
        self._base = connect(f"{self._path}?{options}")
        self._connections = Connections(self._path, _statement_settings(limits))

    def close(self) -> None:
        """Close the engine and let another process open the directory."""
        self._connections.close()
        self._base.close()
        os.close(self._lock)

    def run(self, statement: Statement, session: Session, default_format: str) -> Answer:
        """Run a statement to its end; raises chdb.ChdbError with ClickHouse's message."""
        with self._connections.one(session, statement.kind is Kind.READ) as connection:
            result = connection.query(statement.sql, default_format, params=dict(session.parameters))
            if result is None:
                return Answer(b"")
            return Answer(
                result.bytes() or b"",
                result_rows=result.rows_read(),
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                elapsed_s=result.elapsed(),
            )

    def blocks(
        self, statement: Statement, session: Session, default_format: str
    ) -> Generator[Answer, None, None]:
        """Run a SELECT and hand its answer out block by block; closing the iterator stops the query.

        The engine waits while a block is not asked for, so that memory stays bounded.
        """
        parameters = dict(session.parameters)
        with (
            self._connections.one(session, statement.kind is Kind.READ) as connection,
            connection.send_query(statement.sql, default_format, params=parameters) as stream,
        ):
            for block in stream:
                yield Answer(
                    block.bytes(),
                    result_rows=block.rows_read(),
                    read_rows=block.storage_rows_read(),
                    read_bytes=block.storage_bytes_read(),
                    elapsed_s=block.elapsed(),
                )

    def insert(self, statement: Statement, session: Session, data: FileInMemory) -> Answer:
        """Run an INSERT with its data. Raises chdb.ChdbError with ClickHouse's message.

        The data is read from a file: chDB's `send_insert` reports success when a constraint, a view or the
        disk refuses the last block.
        """
        source = f"FROM INFILE '{data.path}' "
        data_format = f" FORMAT {statement.format}"
        sql = statement.sql + source.encode() + statement.settings + data_format.encode()
        with self._connections.one(session) as connection:
            result = connection.query(sql, "TSV", params=dict(session.parameters))
            return Answer(
                b"",
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                elapsed_s=result.elapsed(),
            )

    def kill(self, query_id: str) -> None:
        """Ask the queries with this id to stop; none is no error."""
        with self._connections.one(Session("default", {}, {}, "kill")) as connection:
            connection.query(
                "KILL QUERY WHERE Settings['log_comment'] = {id:String} ASYNC", "TSV", params={"id": query_id}
            )

    def scalars(self, sql: str, parameters: Mapping[str, str]) -> list[str]:
        """The values of the first row of a query, as text."""
        with self._connections.one(Session("default", {}, {}, "observe")) as connection:
            text: bytes = connection.query(sql, "TSV", params=dict(parameters)).bytes()
            return text.decode().split("\n", 1)[0].split("\t")


def _server_settings(limits: EngineLimits) -> dict[str, object]:
    """Server settings for a small machine; chDB has no system log tables, which would cost CPU."""
    memory = limits.memory_bytes_max
    return {
        "max_server_memory_usage": memory,
        "mark_cache_size": memory // 8,
        "primary_index_cache_size": memory // 8,
        "index_mark_cache_size": memory // 16,
        "text_index_tokens_cache_size": memory // 16,
        "text_index_header_cache_size": memory // 16,
        "text_index_postings_cache_size": memory // 16,
        "query_condition_cache_size": memory // 64,
        # Merges share the cores with searches and inserts.
        "background_pool_size": 2,
        "background_merges_mutations_concurrency_ratio": 2,
        "background_schedule_pool_size": 2,
        "background_common_pool_size": 1,
        "background_move_pool_size": 1,
        "background_fetches_pool_size": 1,
    }


def _statement_settings(limits: EngineLimits) -> dict[str, str]:
    """What a statement runs with unless it says otherwise."""
    return {
        "max_threads": str(limits.threads_max),
        "max_memory_usage": str(limits.memory_bytes_max * 3 // 4),
        "max_bytes_before_external_group_by": str(limits.memory_bytes_max // 4),
        "max_bytes_before_external_sort": str(limits.memory_bytes_max // 4),
        # As a server has them, where chDB differs.
        "implicit_select": "0",
        "allow_introspection_functions": "0",
        "session_timezone": "UTC",
    }


def _lock(file: Path) -> int:
    """Take the directory's lock, which the kernel lets go when this process ends in whatever way."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline_s:
                holder = os.pread(descriptor, 32, 0).decode() or "unknown"
                os.close(descriptor)
                raise StorageError(
                    f"cannot open {file.parent}: the process {holder} has it open already"
                ) from None
            time.sleep(LOCK_POLL_S)
            continue
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor
