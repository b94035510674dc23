"""Inserts count once, however often they are repeated, and the counts by minute agree with the logs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import StorageError
from core.packed_fields import unpack_fields
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables, dead_letter_ids, insert_logs
from storage.migrations import migrate
from tests.conftest import EmbeddedProcess
from tests.storage.logs import TIME_NS, dead_letters, logs


def counts(clickhouse: ClickHouse) -> tuple[int, int, int]:
    """Logs, different seqs, and the logs that the counts by minute tell of."""
    sql = "SELECT count(), uniqExact(seq), (SELECT sum(rows) FROM logs_per_minute) FROM logs"
    ((stored, seqs, counted),) = clickhouse.query(sql).rows
    return int(stored), int(seqs), int(counted)


def test_a_log_comes_back_as_it_went_in(clickhouse: ClickHouse) -> None:
    insert_logs(clickhouse, logs(1, first_seq=5), "a")
    (row,) = clickhouse.rows("SELECT *, toUnixTimestamp64Nano(timestamp) AS ns FROM logs")
    assert row["ns"] == TIME_NS + 5_000_000_007
    assert (row["seq"], row["level"], row["service"], row["message"]) == (5, "info", "service-2", "hello 5")
    assert unpack_fields(row["fields"]) == {"n": "5", "s": '"x"'}


@pytest.mark.parametrize("days", [1, 12], ids=["one day", "12 days"])
def test_a_repeated_token_is_stored_once(clickhouse: ClickHouse, days: int) -> None:
    table = logs(400, days=days)
    for _ in range(3):
        insert_logs(clickhouse, table, "a")
    assert counts(clickhouse) == (400, 400, 400)
    insert_logs(clickhouse, logs(400, first_seq=400, days=days), "b")
    insert_logs(clickhouse, table, "a")
    assert counts(clickhouse) == (800, 800, 800)


def test_rows_that_are_alike_count_as_often_as_they_were_sent(clickhouse: ClickHouse) -> None:
    insert_logs(clickhouse, logs(10), "a")
    insert_logs(clickhouse, logs(10), "b")
    assert counts(clickhouse) == (20, 10, 20)


def test_how_a_table_is_cut_into_chunks_changes_nothing(clickhouse: ClickHouse) -> None:
    table = logs(1000, days=3)
    insert_logs(clickhouse, pa.concat_tables([table.slice(n, 100) for n in range(0, 1000, 100)]), "a")
    insert_logs(clickhouse, table, "a")
    assert counts(clickhouse) == (1000, 1000, 1000)
    assert clickhouse.rows("SELECT uniqExact(_part) AS parts FROM logs") == [{"parts": 3}]


def test_the_same_insert_twice_at_once_is_stored_once(clickhouse: ClickHouse) -> None:
    for number in range(5):
        table = logs(5000, first_seq=5000 * number, days=4)
        start = threading.Barrier(2)

        def insert(
            _: int, table: pa.Table = table, start: threading.Barrier = start, token: str = str(number)
        ) -> None:
            start.wait()
            insert_logs(clickhouse, table, token)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(insert, range(2)))
    assert counts(clickhouse) == (25_000, 25_000, 25_000)


def test_an_insert_of_many_days_is_taken_in_one(clickhouse: ClickHouse) -> None:
    insert_logs(clickhouse, logs(120, days=120), "a")  # more than max_partitions_per_insert_block
    assert counts(clickhouse) == (120, 120, 120)


def test_the_limits_of_time_are_stored_and_counted(clickhouse: ClickHouse) -> None:
    table = logs(2)
    last_ns = 7_258_118_400_000_000_000 - 1
    times = pa.array([0, last_ns], table.schema.field("timestamp").type)
    insert_logs(clickhouse, table.set_column(0, table.schema.field("timestamp"), times), "a")
    rows = clickhouse.rows("SELECT toUnixTimestamp64Nano(timestamp) AS ns FROM logs ORDER BY timestamp")
    assert [row["ns"] for row in rows] == [0, last_ns]
    minutes = clickhouse.rows("SELECT toInt64(minute) AS s FROM logs_per_minute ORDER BY minute")
    assert [row["s"] for row in minutes] == [0, last_ns // 60_000_000_000 * 60]


def test_a_table_of_other_columns_is_our_bug(clickhouse: ClickHouse) -> None:
    with pytest.raises(AssertionError):
        insert_logs(clickhouse, logs(1).drop_columns(["seq"]), "a")


def test_an_insert_into_a_database_without_tables_is_refused(empty_clickhouse: ClickHouse) -> None:
    with pytest.raises(StorageError) as refusal:
        insert_logs(empty_clickhouse, logs(1), "a")
    assert refusal.value.code == 60


def test_dead_letters_have_ids_that_repeat_with_the_insert(clickhouse: ClickHouse) -> None:
    tables = LogTables(clickhouse)
    for _ in range(2):
        tables.insert_dead_letters(dead_letters(3), "a")
    tables.insert_dead_letters(dead_letters(2), "b")
    rows = clickhouse.rows("SELECT id, hex(raw) AS raw FROM dead_letters ORDER BY id")
    assert len({row["id"] for row in rows}) == len(rows) == 5
    assert {row["raw"] for row in rows} == {f"raw {n}\xff".encode("latin-1").hex().upper() for n in range(3)}
    assert dead_letter_ids("a", 3).to_pylist() == dead_letter_ids("a", 3).to_pylist()


def test_after_kills_in_mid_insert_every_insert_is_there_once(tmp_path: Path) -> None:
    """Ten times: inserts of several days run, the process is killed, and the last inserts are sent again."""
    process = EmbeddedProcess(tmp_path)
    client = ClickHouse(process.url)
    migrate(client)
    number = 0
    for kill_after_ms in range(5, 105, 10):
        killer = threading.Timer(kill_after_ms / 1000, process.kill)
        killer.start()
        with suppress(StorageError):
            while True:
                insert_numbered(client, number)
                number += 1
        killer.join()
        process.start()
        for repeated in range(max(number - 2, 0), number + 1):
            insert_numbered(client, repeated)
        number += 1
        assert counts(client) == (200 * number,) * 3
    counted = (
        "SELECT toUnixTimestamp(toStartOfMinute(timestamp)), service, level, count() FROM logs GROUP BY ALL"
    )
    rolled_up = "SELECT toUnixTimestamp(minute), service, level, sum(rows) FROM logs_per_minute GROUP BY ALL"
    assert sorted(client.query(counted).rows) == sorted(client.query(rolled_up).rows)
    by_hour = "SELECT hour, service, level, {} FROM {} GROUP BY ALL"
    in_logs, in_rollup = by_hour.format("count()", "logs"), by_hour.format("sum(rows)", "logs_per_hour")
    assert sorted(client.query(in_logs).rows) == sorted(client.query(in_rollup).rows)
    client.close()
    process.stop()


def insert_numbered(client: ClickHouse, number: int) -> None:
    insert_logs(client, logs(200, 200 * number, days=4), str(number))
