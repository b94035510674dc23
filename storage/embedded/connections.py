"""Connections to the open chDB: each statement has one to itself, with its database and its settings."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import chdb
from chdb.state import connect

IDLE_MAX: Final = 8  # that wait for the next statement like theirs: some more than there are search threads


@dataclass(frozen=True, slots=True)
class Session:
    """What a statement runs with: its database, settings, `{name:Type}` parameters and id."""

    database: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    query_id: str


# A connection's database, and the names of what was set on it beside the engine's own settings.
_Kind = tuple[str, frozenset[str]]


class Connections:
    """Hands out connections; any number of threads may ask. They do not wait for each other.

    A statement that only reads leaves nothing on its connection but what was set before it. So the connection
    may be kept for a statement of the same database that sets the same names anew: 0.1 ms instead of 0.6.
    """

    def __init__(self, path: str, settings: Mapping[str, str]) -> None:
        self._path, self._settings = path, settings
        self._lock = threading.Lock()
        self._idle: list[tuple[_Kind, Any]] = []  # the longest idle one first

    @contextmanager
    def one(self, session: Session, reads: bool = False) -> Iterator[Any]:
        """A connection for a statement, which `reads` if it can change nothing; raises chdb.ChdbError."""
        # chDB gives each query an id of its own: the client's, to be killed by, is the log comment.
        settings = {**session.settings, "log_comment": session.query_id}
        kind = session.database, frozenset(settings)
        keep = reads and "readonly" not in settings  # which forbids later settings
        connection = self._taken(kind) if keep else None
        connection = connection or self._opened(session.database)
        try:
            _set(connection, settings)
            yield connection
        except BaseException:  # also a stream that is left early
            connection.close()
            raise
        if keep:
            self._keep(kind, connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _opened(self, database: str) -> Any:
        connection = connect(self._path)
        try:
            _set(connection, self._settings)
            if database != "default":
                connection.query(f"USE {_identifier(database)}", "TSV")
        except BaseException:
            connection.close()
            raise
        return connection

    def _taken(self, kind: _Kind) -> Any:
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place][0] == kind:
                    return self._idle.pop(place)[1]
        return None

    def _keep(self, kind: _Kind, connection: Any) -> None:
        with self._lock:
            self._idle.append((kind, connection))
            if len(self._idle) <= IDLE_MAX:
                return
            _, connection = self._idle.pop(0)
        connection.close()


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    connection.query("SET " + ", ".join(f"{_name(k)} = {_quoted(v)}" for k, v in settings.items()), "TSV")


def _name(setting: str) -> str:
    if not setting.isidentifier():
        raise chdb.ChdbError(f"Code: 115. DB::Exception: Unknown setting {setting!r}. (UNKNOWN_SETTING)")
    return setting


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
