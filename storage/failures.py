"""Which failures of the ClickHouse driver are refusals, and which pass by themselves."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DataError,
    NotSupportedError,
    ProgrammingError,
)
from urllib3.exceptions import HTTPError

from core.errors import LograyError, StorageError, StorageUnavailable

# The server is too busy, has too few replicas or too little room: the same statement may work a moment later.
# Names are those of ClickHouse's src/Common/ErrorCodes.cpp.
TRANSIENT_CODES: Final = {
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    517: "CANNOT_ASSIGN_ALTER",
    745: "SERVER_OVERLOADED",
    999: "KEEPER_EXCEPTION",
}
QUERY_WAS_CANCELLED: Final = 394
TIMEOUT_EXCEEDED: Final = 159

_CODE = re.compile(r"\bCode:\s*(\d+)|\bexception, code: (\d+)")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn whatever the driver raises inside into StorageError or StorageUnavailable."""
    try:
        yield
    except LograyError:
        raise
    except ClickHouseError as error:
        raise _storage_error(error) from error
    except (HTTPError, OSError, EOFError) as error:
        raise StorageUnavailable(f"cannot reach ClickHouse: {_one_line(_root(error))}") from error


def _storage_error(error: ClickHouseError) -> StorageError:
    code = getattr(error, "code", None) or _code_in(str(error))
    reason = _one_line(error)
    if code in TRANSIENT_CODES:
        return StorageUnavailable(f"ClickHouse cannot take this now: {reason}", code)
    if code:
        return StorageError(f"ClickHouse refused: {reason}", code)
    if isinstance(error, (ProgrammingError, DataError, NotSupportedError)):
        return StorageError(f"cannot ask ClickHouse: {reason}")
    # Without a code no ClickHouse spoke: a proxy's 502, a connection that broke, a timeout.
    return StorageUnavailable(f"cannot reach ClickHouse: {_one_line(_root(error))}")


def _root(error: BaseException) -> BaseException:
    # The driver's own text says only that a request failed.
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _code_in(message: str) -> int:
    match = _CODE.search(message)
    return int(match.group(1) or match.group(2)) if match else 0


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:2000]
