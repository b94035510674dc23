"""The client: parameters, settings, streams, failures and coming back after the server was away."""

import datetime
import pickle
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import SecretStr

from core.errors import SettingsError, StorageError, StorageUnavailable
from storage.clickhouse import ClickHouse
from tests.conftest import EmbeddedProcess

FOREVER = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "value", ["", "'; DROP TABLE x --", "ü🦀", "a\tb\nc\\n\0", "{n:UInt8}", "%s", "\\N", "NULL"]
)
def test_a_string_parameter_arrives_as_it_is(empty_clickhouse: ClickHouse, value: str) -> None:
    row = empty_clickhouse.query("SELECT {v:String} AS v, length({v:String}) AS n", {"v": value}).rows[0]
    assert row == (value, len(value.encode()))


def test_parameters_of_all_kinds_arrive(empty_clickhouse: ClickHouse) -> None:
    values = {"a": [1, 2], "s": ["x'", "y\\"], "n": None, "f": 0.5, "big": 2**64 - 1}
    sql = "SELECT {a:Array(UInt8)}, {s:Array(String)}, {n:Nullable(String)}, {f:Float64}, {big:UInt64}"
    assert empty_clickhouse.query(sql, values).rows == [([1, 2], ["x'", "y\\"], None, 0.5, 2**64 - 1)]


def test_parameters_without_a_place_are_our_bug(empty_clickhouse: ClickHouse) -> None:
    with pytest.raises(AssertionError):
        empty_clickhouse.query("SELECT 1", {"a": 1})


def test_an_answer_has_names_values_and_cost(empty_clickhouse: ClickHouse) -> None:
    result = empty_clickhouse.query(
        "SELECT number AS n, toDateTime64('2024-01-15 10:00:00.123456789', 9, 'UTC') AS t FROM numbers(3)"
    )
    assert result.columns == ("n", "t")
    assert [row["n"] for row in result.dicts()] == [0, 1, 2]
    assert result.dicts()[0]["t"].replace(tzinfo=None) == datetime.datetime(2024, 1, 15, 10, 0, 0, 123456)
    assert result.cost.read_rows == 3


def test_a_refusal_has_its_code_and_no_secret(
    empty_clickhouse: ClickHouse, clickhouse_url: SecretStr
) -> None:
    with pytest.raises(StorageError) as refusal:
        empty_clickhouse.query("SELECT * FROM nothing")
    assert refusal.value.code == 60
    assert clickhouse_url.get_secret_value().split(":")[2].split("@")[0] not in str(refusal.value)
    assert pickle.loads(pickle.dumps(refusal.value)).code == 60


def test_a_wrong_password_is_refused(clickhouse_url: SecretStr) -> None:
    parts = clickhouse_url.get_secret_value().split("@")
    stranger = ClickHouse(SecretStr(f"http://logray:wrong@{parts[1]}"))
    with pytest.raises(StorageError) as refusal:
        stranger.query("SELECT 1")
    assert refusal.value.code == 516
    assert not stranger.ping()


def test_a_server_that_is_not_there_is_unavailable_and_the_reason_is_told() -> None:
    client = ClickHouse(SecretStr(f"http://127.0.0.1:{closed_port()}/x"))
    with pytest.raises(StorageUnavailable, match="refused"):
        client.query("SELECT 1")
    assert not client.ping()


@pytest.mark.parametrize("url", ["", "localhost:8123", "ftp://host/x", "http://"])
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot read the ClickHouse URL"):
        ClickHouse(SecretStr(url))


def test_the_password_is_not_in_its_text(clickhouse_url: SecretStr) -> None:
    client = ClickHouse(clickhouse_url)
    assert clickhouse_url.get_secret_value().split(":")[2].split("@")[0] not in repr(client)


def test_a_stream_comes_in_blocks_and_can_be_left(empty_clickhouse: ClickHouse) -> None:
    with empty_clickhouse.stream("SELECT number AS n FROM numbers({n:UInt64})", {"n": 300_000}) as blocks:
        assert sum(block.num_rows for block in blocks) == 300_000
    with empty_clickhouse.stream("SELECT number AS n FROM numbers(10) WHERE n > 10") as blocks:
        assert sum(block.num_rows for block in blocks) == 0
    with empty_clickhouse.stream("SELECT number FROM numbers(1000000000000)", query_id="left") as blocks:
        next(blocks)
    deadline = time.monotonic() + 10
    running = "SELECT count() AS n FROM system.processes WHERE Settings['log_comment'] = 'left'"
    while empty_clickhouse.rows(running) != [{"n": 0}]:
        assert time.monotonic() < deadline


def test_an_error_in_the_middle_of_a_stream_is_an_error(empty_clickhouse: ClickHouse) -> None:
    sql = "SELECT throwIf(number = 900000) AS n FROM numbers(1000000)"

    def drain() -> None:
        with empty_clickhouse.stream(sql, settings={"max_block_size": 10_000}) as blocks:
            for _ in blocks:
                pass

    with pytest.raises(StorageError):
        drain()


def test_a_query_can_be_killed(empty_clickhouse: ClickHouse) -> None:
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(empty_clickhouse.query, FOREVER, query_id="k")
        while not running.done():
            empty_clickhouse.kill("k")
        with pytest.raises(StorageError) as refusal:
            running.result()
    assert refusal.value.code == 394


def test_a_query_out_of_time_is_stopped(empty_clickhouse: ClickHouse) -> None:
    with pytest.raises(StorageError) as refusal:
        empty_clickhouse.query(FOREVER, settings={"max_execution_time": 0.2})
    assert refusal.value.code == 159


def test_an_arrow_table_is_inserted_by_column_names(empty_clickhouse: ClickHouse) -> None:
    empty_clickhouse.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    cost = empty_clickhouse.insert_arrow("t", pa.table({"b": ["x", "y"], "a": pa.array([1, 2], pa.uint64())}))
    assert cost.written_rows == 2
    assert empty_clickhouse.rows("SELECT * FROM t ORDER BY a") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_after_the_server_was_away_the_same_client_works_again(tmp_path: Path) -> None:
    process = EmbeddedProcess(tmp_path)
    url = SecretStr(process.url.get_secret_value().rsplit("/", 1)[0] + "/default")
    client = ClickHouse(url)
    assert client.rows("SELECT 1 AS a") == [{"a": 1}]
    process.kill()
    with pytest.raises(StorageUnavailable):
        client.query("SELECT 1")
    process.start()
    assert client.rows("SELECT 1 AS a") == [{"a": 1}]
    client.close()
    assert client.rows("SELECT 1 AS a") == [{"a": 1}]
    process.stop()
