"""Fields with a column of their own: old logs and new ones have their values in it."""

import pytest

from core.own_columns import own_column
from storage.clickhouse import ClickHouse
from storage.own_columns import add_own_columns, own_columns
from tests.query.stored_logs import log, store


def test_a_column_has_the_values_of_logs_from_before_and_after(clickhouse: ClickHouse) -> None:
    store(clickhouse, [log(1, "before", status=200), log(2, "without")])
    assert add_own_columns(clickhouse, ["status"]) == ["status"]
    store(clickhouse, [log(3, "after", status="200"), log(4, "an array", status=[1, 2])], first_seq=2)
    rows = clickhouse.query(f"SELECT {own_column('status')} FROM logs ORDER BY seq").rows
    assert [value for (value,) in rows] == ["200", "", '"200"', "[1,2]"]


def test_columns_are_added_once(clickhouse: ClickHouse) -> None:
    assert own_columns(clickhouse) == frozenset()
    assert add_own_columns(clickhouse, ["status", "user.id"]) == ["status", "user.id"]
    assert add_own_columns(clickhouse, ["user.id", "host"]) == ["host"]
    assert own_columns(clickhouse) == {"status", "user.id", "host"}


def test_names_that_sql_could_read_otherwise_are_no_columns() -> None:
    for name in ("a`b", "a'b", "a b", "", "1a", "a" * 101, "a\\"):
        with pytest.raises(AssertionError):
            own_column(name)
