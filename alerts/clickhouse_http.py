"""A client of ClickHouse's HTTP interface that costs no memory to speak of: the standard library, JSON
both ways.

storage.clickhouse is the client of everything else. There is a process for every alert rule, and that driver,
with all that it imports, would triple each of them.
"""

import base64
import http.client
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

from core.errors import SettingsError, StorageError, StorageUnavailable
from core.limits import LARGE_STATEMENTS
from storage.transient_codes import TRANSIENT_CODES

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_GRACE_S: Final = (
    5.0  # the server ends a statement at its own limit: the answer is waited for a little longer
)
IDLE_CONNECTIONS_MAX: Final = 4
INSERT_SETTINGS: Final[Mapping[str, Any]] = {
    "async_insert": 0,  # the answer comes when the rows are on disk
    "insert_quorum": "auto",  # replicas: most of them have the rows; ignored elsewhere
    "distributed_foreground_insert": 1,
}
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "'": "\\'"})

Row = Mapping[str, Any]


class StoreUrl(str):
    """A URL with a password in it, which does not show when it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "StoreUrl(***)"


def encode(value: Any) -> str:
    """A parameter as ClickHouse reads it: escaped text, numbers, arrays of strings."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(f"'{str(each).translate(_ESCAPES)}'" for each in value) + "]"
    return str(value).translate(_ESCAPES) if isinstance(value, str) else str(value)


class ClickHouseHttp:
    """A blocking client of `http(s)://user:password@host:port/database`; any thread may use it.

    Raises StorageError when the server refuses, StorageUnavailable when it cannot be reached or is too busy.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                "cannot read the ClickHouse URL: it must be http(s)://user:password@host:port/database"
            )
        self._secure, self._host = parts.scheme == "https", parts.hostname
        self._port = parts.port or (8443 if self._secure else 8123)
        user = f"{unquote(parts.username or 'default')}:{unquote(parts.password or '')}"
        self._authorization = "Basic " + base64.b64encode(user.encode()).decode()
        self._database = unquote(parts.path.strip("/")) or "default"
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def select(
        self, sql: str, parameters: Mapping[str, Any] | None = None, timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT, by column name; int64 as int."""
        settings = {
            "output_format_json_quote_64bit_integers": 0,
            "max_execution_time": timeout_s,
            **LARGE_STATEMENTS,
            "wait_end_of_query": 1,
        }
        answer = self._run(f"{sql} FORMAT JSONCompact".encode(), parameters or {}, settings, timeout_s)
        content = json.loads(answer)
        names = [column["name"] for column in content["meta"]]
        return [dict(zip(names, row, strict=True)) for row in content["data"]]

    def insert(self, table: str, rows: Iterable[Row], timeout_s: float = 30.0) -> None:
        """Insert all rows as one block: there together or not at all. Columns that are missing get their
        default.
        """
        lines = "\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
        statement = f"INSERT INTO {table} SETTINGS {_settings(INSERT_SETTINGS)} FORMAT JSONEachRow\n"
        # A lone surrogate cannot be written as UTF-8: it came in as an escape of JSON.
        self._run((statement + lines).encode("utf-8", "replace"), {}, {}, timeout_s)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def _run(
        self, body: bytes, parameters: Mapping[str, Any], settings: Mapping[str, Any], timeout_s: float
    ) -> bytes:
        query = {"database": self._database, **settings}
        query |= {f"param_{name}": encode(value) for name, value in parameters.items()}
        path = "/?" + urlencode(query, quote_via=quote)
        try:
            connection, is_new = self._take()
            try:
                return self._ask(connection, path, body, timeout_s)
            except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
                if is_new:
                    raise
                # The server had closed an idle connection. What is asked twice here does no harm twice.
                return self._ask(self._connect(), path, body, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StorageUnavailable(f"cannot reach ClickHouse: {reason}") from error

    def _ask(self, connection: http.client.HTTPConnection, path: str, body: bytes, timeout_s: float) -> bytes:
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(timeout_s + ANSWER_GRACE_S)
            connection.request("POST", path, body, {"Authorization": self._authorization})
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, response)
        code = int(response.getheader("X-ClickHouse-Exception-Code") or 0)
        if response.status == 200 and not code:
            return content
        raise _refusal(response.status, code, content.decode(errors="replace"))

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=CONNECT_TIMEOUT_S)

    def _give_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        with self._lock:
            if not response.will_close and len(self._idle) < IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
                return
        connection.close()


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in settings.items())


def _refusal(status: int, code: int, text: str) -> StorageError:
    reason = " ".join(text.split())[:2000]
    if code in TRANSIENT_CODES:
        return StorageUnavailable(f"ClickHouse cannot take this now: {reason}", code)
    if code:
        return StorageError(f"ClickHouse refused: {reason}", code)
    # Without a code no ClickHouse spoke: a proxy's 502.
    return StorageUnavailable(f"cannot reach ClickHouse: status {status}: {reason}")
