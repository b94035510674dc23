"""The one way to ClickHouse: a blocking, thread-safe client over its HTTP interface."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.binding import external_bind_re
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager
from pydantic import SecretStr

from core.errors import SettingsError, StorageError
from storage.failures import storage_errors

CONNECT_TIMEOUT_S: Final = 5
CONNECTIONS_MAX: Final = 32  # kept open per process; further ones are closed after use
# The driver logs every failed request with its traceback; whoever asked gets the error and decides.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Parameters = Mapping[str, Any]
StatementSettings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a statement cost the server: rows and bytes read or written, and seconds."""

    read_rows: int
    read_bytes: int
    written_rows: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query: column names, rows as tuples, and its cost."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    cost: Cost

    def dicts(self) -> list[dict[str, Any]]:
        """Each row as column name → value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class ClickHouse:
    """A client of one URL, `http(s)://user:password@host:port/database`; any thread may use it.

    It connects on first use, and again after the server was away. `parameters` fill `{name:Type}` places and
    travel beside the SQL, never in it. DateTime64 comes back as datetime, in microseconds: ask for
    `toUnixTimestamp64Nano(…)` where nanoseconds matter. Every method raises StorageError when the server
    refuses, StorageUnavailable when it cannot be reached or is too busy.
    """

    def __init__(
        self, url: SecretStr, read_timeout_s: int = 120, settings: StatementSettings | None = None
    ) -> None:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                "cannot read the ClickHouse URL: it must be http(s)://user:password@host:port/database"
            )
        self._url = url
        self._settings = dict(settings or {})
        self._read_timeout_s = read_timeout_s
        self._lock = threading.Lock()
        self._client: Client | None = None
        self.database = unquote(parts.path.strip("/")) or "default"
        self.address = f"{parts.scheme}://{parts.hostname}:{parts.port or _default_port(parts.scheme)}"

    def __repr__(self) -> str:
        return f"ClickHouse({self.address}/{self.database})"

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        settings: StatementSettings | None = None,
        query_id: str | None = None,
    ) -> Result:
        """Run a SELECT and return the whole answer."""
        _check_parameters(sql, parameters)
        with storage_errors():
            answer = self._connected().query(
                sql, parameters=dict(parameters or {}), settings=_with_query_id(settings, query_id)
            )
            return Result(
                tuple(answer.column_names), [tuple(row) for row in answer.result_rows], _cost(answer.summary)
            )

    def rows(
        self,
        sql: str,
        parameters: Parameters | None = None,
        settings: StatementSettings | None = None,
        query_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Run a SELECT and return its rows as dictionaries."""
        return self.query(sql, parameters, settings, query_id).dicts()

    @contextmanager
    def stream(
        self,
        sql: str,
        parameters: Parameters | None = None,
        settings: StatementSettings | None = None,
        query_id: str | None = None,
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Run a SELECT and hand out its answer block by block, as Arrow, in bounded memory.

        Leaving the context early stops the query. An answer without rows may have no block at all.
        """
        _check_parameters(sql, parameters)
        with storage_errors():
            source: Any = self._connected().raw_stream(
                sql,
                parameters=dict(parameters or {}),
                settings={"output_format_arrow_string_as_string": 1, **_with_query_id(settings, query_id)},
                fmt="ArrowStream",
            )
            try:
                yield _record_batches(source)
            finally:
                source.close()

    def command(
        self,
        sql: str,
        parameters: Parameters | None = None,
        settings: StatementSettings | None = None,
        query_id: str | None = None,
        use_database: bool = True,
    ) -> None:
        """Run a statement whose answer does not matter (DDL, INSERT … SELECT, SYSTEM …)."""
        _check_parameters(sql, parameters)
        with storage_errors():
            self._connected().command(
                sql,
                parameters=dict(parameters or {}),
                settings=_with_query_id(settings, query_id),
                use_database=use_database,
            )

    def insert_arrow(self, table: str, rows: pa.Table, settings: StatementSettings | None = None) -> Cost:
        """Insert a table in one request; columns are matched by name.

        A request that broke off may be sent once more by the driver: without an `insert_deduplication_token`
        in the settings its rows can then be stored twice.
        """
        with storage_errors():
            summary = self._connected().insert_arrow(table, rows, settings=dict(settings or {}))
            return _cost(summary.summary)

    def kill(self, query_id: str) -> None:
        """Stop the queries with this id; none is no error."""
        self.command("KILL QUERY WHERE query_id = {id:String} ASYNC", {"id": query_id}, use_database=False)

    def ping(self) -> bool:
        """Whether the server answers a query now."""
        try:
            with storage_errors():
                return bool(self._connected().ping(timeout=CONNECT_TIMEOUT_S))
        except StorageError:
            return False

    def close(self) -> None:
        """Close the idle connections; the next call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Client:
        parts = urlsplit(self._url.get_secret_value())
        host = parts.hostname or ""
        client = clickhouse_connect.get_client(
            interface=parts.scheme,
            host=host,
            port=parts.port or _default_port(parts.scheme),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            # The first statement creates the database: the driver must not ask for it while connecting.
            database="__default__",
            settings=self._settings,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=self._read_timeout_s,
            compress=host not in LOOPBACK,
            query_retries=0,
            autogenerate_session_id=False,  # a session would allow one query at a time
            pool_mgr=get_pool_manager(maxsize=CONNECTIONS_MAX),
            show_clickhouse_errors="scrub",  # without the URL and the server's version
        )
        client.database = self.database
        return client


def _record_batches(source: Any) -> Iterator[pa.RecordBatch]:
    with storage_errors():
        try:
            with pa.ipc.open_stream(source) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            if "null or length 0" not in str(error):  # an answer without any block
                raise ClickHouseError(str(error)) from error


def _check_parameters(sql: str, parameters: Parameters | None) -> None:
    # Without a {name:Type} place the driver would splice values into the text itself.
    assert not parameters or external_bind_re.search(sql), "parameters need {name:Type} places"


def _with_query_id(settings: StatementSettings | None, query_id: str | None) -> dict[str, Any]:
    return dict(settings or {}) | ({} if query_id is None else {"query_id": query_id})


def _cost(summary: Mapping[str, Any]) -> Cost:
    def number(name: str) -> int:
        return int(summary.get(name) or 0)

    return Cost(number("read_rows"), number("read_bytes"), number("written_rows"), number("elapsed_ns") / 1e9)


def _default_port(scheme: str) -> int:
    return 8443 if scheme == "https" else 8123
