"""The one exception tree.

    LograyError
    ├── SettingsError              a setting is unknown or wrong: the start stops
    ├── RequestError               the client's request cannot be served as it was sent
    │   ├── MalformedBody              400, with the position
    │   ├── QuerySyntaxError           400, with the position and the reason
    │   ├── InvalidRequest             422, with the path of each wrong field
    │   │   └── InvalidSearch              400, the same for the body of a search
    │   ├── Unauthorized               401
    │   ├── Forbidden                  403
    │   ├── NotFound                   404
    │   ├── Conflict                   409
    │   ├── TooLarge                   413
    │   ├── RejectedRecord             one record cannot be stored as a log: a dead letter
    │   └── UnsupportedEncoding        415
    ├── Overloaded                 a bound is reached, come back after `retry_after_s`: 429
    ├── SearchTimeout              a search used up its time: 504, with what was known
    ├── StorageError               ClickHouse refused a statement: 500
    │   ├── IncompatibleTables         another version of Logray made the tables: the start stops
    │   └── StorageUnavailable         ClickHouse cannot be reached: 503
    └── WalError                   the write-ahead log cannot be written or read: 503

Every class passes all its arguments to `super().__init__`, so that it survives pickling between actors.
"""

from typing import Any, ClassVar


class LograyError(Exception):
    """The root: anything that Logray raises on purpose."""

    status: ClassVar[int] = 500

    def detail(self) -> dict[str, Any]:
        """The fields of the JSON answer beside `error`."""
        return {}


class SettingsError(LograyError):
    """A setting is unknown or wrong; the message is the one line that the operator sees."""


class RequestError(LograyError):
    """The client's request cannot be served as it was sent."""

    status = 400


class MalformedBody(RequestError):
    """The body cannot be parsed; `position` is the byte offset where known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason, position)
        self.reason, self.position = reason, position

    def __str__(self) -> str:
        return self.reason

    def detail(self) -> dict[str, Any]:
        return {} if self.position is None else {"position": self.position}


class QuerySyntaxError(MalformedBody):
    """The query text does not parse; `position` counts characters from 0."""


class InvalidRequest(RequestError):
    """The body parses but its fields are wrong; `problems` maps each field's path to the reason."""

    status = 422

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(f"{path}: {reason}" for path, reason in self.problems.items())

    def detail(self) -> dict[str, Any]:
        return {"fields": self.problems}


class InvalidSearch(InvalidRequest):
    """A search's body is wrong: one status for this and for a syntax error in its query."""

    status = 400


class Unauthorized(RequestError):
    """No key, or one that is not known."""

    status = 401


class Forbidden(RequestError):
    """The key or the origin does not allow this."""

    status = 403


class NotFound(RequestError):
    """There is nothing under this name."""

    status = 404


class Conflict(RequestError):
    """The present state does not allow this."""

    status = 409


class TooLarge(RequestError):
    """A limit of core.limits is passed."""

    status = 413


class RejectedRecord(RequestError):
    """One record cannot be stored as a log; `reason` is of a small fixed set, fit to be a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedEncoding(RequestError):
    """The body's Content-Encoding is not one of those taken."""

    status = 415


class Overloaded(LograyError):
    """A bound is reached; nothing was taken in, and the client may come back.

    `bound` is one word for the metric: `wal_full`, `disk_low`, `queue_full`…
    """

    status = 429

    def __init__(self, reason: str, retry_after_s: int = 1, bound: str = "busy") -> None:
        super().__init__(reason, retry_after_s, bound)
        self.reason, self.retry_after_s, self.bound = reason, retry_after_s, bound

    def __str__(self) -> str:
        return self.reason


class SearchTimeout(LograyError):
    """A search used up its time; `known` is the part of the answer that was found."""

    status = 504

    def __init__(self, reason: str, known: dict[str, Any] | None = None) -> None:
        super().__init__(reason, known)
        self.reason, self.known = reason, known

    def __str__(self) -> str:
        return self.reason

    def detail(self) -> dict[str, Any]:
        return {} if self.known is None else {"known": self.known}


class StorageError(LograyError):
    """ClickHouse refused a statement; `code` is its exception code, 0 when it gave none."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason, code)
        self.reason, self.code = reason, code

    def __str__(self) -> str:
        return self.reason


class IncompatibleTables(StorageError):
    """Another version of Logray made the tables, and this one cannot go on with them."""


class StorageUnavailable(StorageError):
    """ClickHouse cannot be reached, or is not ready."""

    status = 503


class WalError(LograyError):
    """The write-ahead log cannot be written or read."""

    status = 503
