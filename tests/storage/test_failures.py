"""What the driver raises becomes a refusal, or a failure that will pass."""

import pytest
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    OperationalError,
    ProgrammingError,
)
from urllib3.exceptions import ProtocolError

from core.errors import LograyError, Overloaded, StorageError, StorageUnavailable
from storage.failures import TRANSIENT_CODES, storage_errors
from storage.wal.store import PASSING_CODES, ROW_CODES, will_pass


@pytest.mark.parametrize(
    ("raised", "expected", "code"),
    [
        (DatabaseError("Code: 60. DB::Exception: no table\n(UNKNOWN_TABLE)"), StorageError, 60),
        (DatabaseError("Received ClickHouse exception, code: 47, x"), StorageError, 47),
        (DatabaseError("Code: 252. DB::Exception: Too many parts"), StorageUnavailable, 252),
        (DatabaseError("Code: 241. DB::Exception: memory"), StorageUnavailable, 241),
        (OperationalError("Error executing HTTP request"), StorageUnavailable, 0),
        (DatabaseError("HTTP driver received status 502"), StorageUnavailable, 0),
        (ProgrammingError("a column is missing"), StorageError, 0),
        (ProtocolError("connection broken"), StorageUnavailable, 0),
        (ConnectionResetError("reset"), StorageUnavailable, 0),
        (EOFError("cut off"), StorageUnavailable, 0),
        (ClickHouseError("nothing known"), StorageUnavailable, 0),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_failure_is_told_from_a_refusal(raised: Exception, expected: type[StorageError], code: int) -> None:
    with pytest.raises(StorageError) as caught, storage_errors():
        raise raised
    assert type(caught.value) is expected
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("own", [Overloaded("x"), StorageError("y", 3)])
def test_our_own_errors_pass_through(own: LograyError) -> None:
    with pytest.raises(LograyError) as caught, storage_errors():
        raise own
    assert caught.value is own


def test_our_bugs_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), storage_errors():
        raise ZeroDivisionError


def test_a_code_has_one_meaning() -> None:
    assert not TRANSIENT_CODES.keys() & ROW_CODES
    assert not TRANSIENT_CODES.keys() & PASSING_CODES
    assert not ROW_CODES & PASSING_CODES


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (StorageUnavailable("away"), True),
        (StorageError("no code", 0), True),
        (StorageError("no table", 60), True),
        (StorageError("cannot parse", 27), False),
        (StorageError("some other", 44), False),
    ],
)
def test_what_will_pass_by_itself(error: StorageError, passes: bool) -> None:
    assert will_pass(error) is passes
