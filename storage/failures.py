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
from storage.transient_codes import TRANSIENT_CODES

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
