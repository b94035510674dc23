"""ClickHouse's HTTP interface, as curl and other clients use it."""

import gzip
import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
import urllib3
import zstandard
from pydantic import SecretStr

from storage.clickhouse import ClickHouse
from tests.conditions import wait_until
from tests.conftest import EmbeddedProcess
from tests.storage.embedded.http import POOL, address, answer, ask, credentials, reading

NUMBERS = "SELECT number AS n, toString(number) AS s FROM numbers(200000)"  # several blocks


@pytest.fixture
def url(clickhouse_url: SecretStr) -> SecretStr:
    return clickhouse_url


def queries_running(url: SecretStr, comment: str) -> int:
    sql = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {id:String}"
    return int(answer(url, sql, param_id=comment))


def test_curl_can_ask(url: SecretStr) -> None:
    user = url.get_secret_value().split("//")[1].split("@")[0]
    command = ["curl", "-sS", "-u", user, address(url), "--data-binary", "SELECT 1 AS a FORMAT JSONEachRow"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b'{"a":1}\n'


def test_ping_needs_no_password(url: SecretStr) -> None:
    assert POOL.request("GET", address(url) + "ping").data == b"Ok.\n"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"X-ClickHouse-User": "logray", "X-ClickHouse-Key": "x"}, id="wrong password"),
        pytest.param({"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""}, id="default user"),
        pytest.param({"X-ClickHouse-User": "lögray", "X-ClickHouse-Key": "ü"}, id="no ASCII"),
        pytest.param(urllib3.make_headers(basic_auth="logray:x"), id="basic auth"),
        pytest.param({"Authorization": "Basic ÿÿ"}, id="broken basic auth"),
        pytest.param({"Authorization": "Bearer x"}, id="bearer"),
    ],
)
def test_a_stranger_is_refused(url: SecretStr, headers: dict[str, str]) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    refusal = ask(url, "SELECT 1", headers=encoded)  # type: ignore[arg-type]
    assert refusal.status in (401, 403)
    assert refusal.headers["X-ClickHouse-Exception-Code"] == "516"


def test_all_ways_to_name_the_user_work(url: SecretStr) -> None:
    names = credentials(url)
    user, password = names["X-ClickHouse-User"], names["X-ClickHouse-Key"]
    assert answer(url, "SELECT 1", headers=urllib3.make_headers(basic_auth=f"{user}:{password}")) == "1\n"
    assert answer(url, "SELECT 1", headers={}, user=user, password=password) == "1\n"


def test_parameters_are_values_never_sql(url: SecretStr) -> None:
    awkward = "'; DROP TABLE x; -- \\ ü🦀\t\n\"`"
    escaped = awkward.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    sql = "SELECT {a:String} AS a, {b:UInt64} AS b FORMAT JSONEachRow"
    assert json.loads(answer(url, sql, param_a=escaped, param_b=2**64 - 1)) == {
        "a": awkward,
        "b": str(2**64 - 1),
    } or json.loads(answer(url, sql, param_a=escaped, param_b=2**64 - 1)) == {"a": awkward, "b": 2**64 - 1}


def test_settings_count_for_one_statement_alone(url: SecretStr) -> None:
    sql = "SELECT getSetting('max_block_size')"
    assert answer(url, sql, max_block_size=77) == "77\n"
    assert answer(url, sql) != "77\n"


@pytest.mark.parametrize("name", ["max_block_size'", "no_such_setting", "a b"])
def test_an_unknown_setting_is_refused(url: SecretStr, name: str) -> None:
    refusal = ask(url, "SELECT 1", **{name: 1})
    assert refusal.headers["X-ClickHouse-Exception-Code"] == "115"


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("SELECT * FROM nothing", 60, 404),
        ("SELECT no_such_column", 47, 404),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT sleep(3) SETTINGS max_execution_time = 0.1", 159, 408),
        ("SELECT 1 FORMAT Nonsense", 73, 404),
        ("SELECT {a:UInt8}", 456, 500),
        ("SELECT toUInt8({a:String})", 456, 500),
        ("INSERT INTO nothing FORMAT CSV", 60, 404),
        ("SELECT * FROM numbers(1e9) ORDER BY rand() SETTINGS max_memory_usage = 1000000", 241, 500),
    ],
)
def test_an_error_has_clickhouses_code_and_status(url: SecretStr, sql: str, code: int, status: int) -> None:
    refusal = ask(url, sql)
    assert refusal.headers["X-ClickHouse-Exception-Code"] == str(code), refusal.data
    assert refusal.status == status
    assert refusal.data.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert answer(url, "SELECT 1") == "1\n"


def test_an_error_in_the_middle_of_an_answer_breaks_it_off(url: SecretStr) -> None:
    sql = "SELECT throwIf(number = 500000) FROM numbers(1000000) FORMAT TSV"
    with reading(url, sql) as stream:
        received = b"".join(iter(lambda: stream.read(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"__exception__" in received[-2000:]
    assert b"Code: 395" in received[-2000:]
    assert not received.endswith(b"0\r\n\r\n")  # the end of a whole answer


def test_get_cannot_change_anything(url: SecretStr) -> None:
    refusal = ask(url, "CREATE TABLE t (a Int8) ENGINE = Memory", method="GET")
    assert refusal.headers["X-ClickHouse-Exception-Code"] == "164"
    assert answer(url, "EXISTS TABLE t", method="GET") == "0\n"
    assert answer(url, "SELECT 1 SETTINGS max_threads = 1", method="GET") == "1\n"
    refusal = ask(url, "CREATE TABLE t (a Int8) ENGINE = Memory", method="GET", readonly=0)
    assert refusal.headers["X-ClickHouse-Exception-Code"] == "164"


def test_other_methods_are_refused(url: SecretStr) -> None:
    assert ask(url, "SELECT 1", method="DELETE").status == 501


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_packed_body_is_unpacked(url: SecretStr, encoding: str, pack: Any) -> None:
    headers = credentials(url) | {"Content-Encoding": encoding}
    assert answer(url, body=pack(b"SELECT 7"), headers=headers) == "7\n"


@pytest.mark.parametrize(("encoding", "code"), [("gzip", "354"), ("snappy", "89")])
def test_a_body_that_cannot_be_unpacked_is_refused(url: SecretStr, encoding: str, code: str) -> None:
    refusal = ask(url, body=b"SELECT 7", headers=credentials(url) | {"Content-Encoding": encoding})
    assert (refusal.status, refusal.headers["X-ClickHouse-Exception-Code"]) == (400, code)


def test_a_bomb_is_refused(url: SecretStr) -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    bomb = b"".join(packer.compress(bytes(64 << 20)) for _ in range(9)) + packer.flush()
    refusal = ask(url, body=bomb, headers=credentials(url) | {"Content-Encoding": "zstd"})
    assert refusal.status == 413


def test_rows_can_be_inserted_in_any_format(url: SecretStr) -> None:
    answer(url, "CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    answer(url, "INSERT INTO t FORMAT CSV", body=b'1,"x;\n"\n')
    answer(url, body=b"INSERT INTO t FORMAT JSONEachRow\n" + b'{"a": 2, "b": "y"}\n{"a": 3, "b": "z"}')
    answer(url, "INSERT INTO t (b, a) VALUES ('SELECT', 4)")
    answer(url, "INSERT INTO t SELECT 5, 'five'")
    answer(url, "INSERT INTO t SETTINGS async_insert = 0 FORMAT TSV", body=b"6\tsix\n")
    answer(url, "INSERT INTO {t:Identifier} (a) VALUES (7)", param_t="t")
    assert answer(url, "SELECT * FROM t ORDER BY a FORMAT TSV") == (
        "1\tx;\\n\n2\ty\n3\tz\n4\tSELECT\n5\tfive\n6\tsix\n7\t\n"
    )


def test_an_insert_that_cannot_be_read_stores_nothing(url: SecretStr) -> None:
    answer(url, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
    refusal = ask(url, "INSERT INTO t FORMAT CSV", body=b"1\n2\nthree\n")
    assert refusal.status == 400
    assert answer(url, "SELECT count() FROM t") == "0\n"


@pytest.mark.parametrize(
    ("obstacle", "code"),
    [
        ("ALTER TABLE t ADD CONSTRAINT c CHECK a != 3", "469"),
        ("CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT throwIf(a = 3) FROM t", "395"),
        ("ALTER TABLE t MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1", "252"),
    ],
    ids=["a constraint", "a view", "too many parts"],
)
@pytest.mark.parametrize("format_name", ["CSV", "ArrowStream"])
def test_an_insert_that_the_table_refuses_is_not_reported_as_done(
    url: SecretStr, format_name: str, obstacle: str, code: str
) -> None:
    answer(url, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
    answer(url, "SYSTEM STOP MERGES t")
    for number in range(2):
        answer(url, f"INSERT INTO t VALUES ({number})")
    answer(url, obstacle)
    rows = ask(url, f"SELECT toUInt32(3) AS a FORMAT {format_name}").data
    refusal = ask(url, f"INSERT INTO t FORMAT {format_name}", body=rows)
    assert refusal.headers.get("X-ClickHouse-Exception-Code") == code


@pytest.mark.parametrize("whole", [0, 1], ids=["streamed", "whole"])
def test_long_answers_are_joined(url: SecretStr, whole: int) -> None:
    def get(format_name: str) -> bytes:
        response = ask(url, f"{NUMBERS} FORMAT {format_name}", wait_end_of_query=whole, max_block_size=50000)
        assert response.status == 200
        return response.data

    table = pa.ipc.open_stream(get("ArrowStream")).read_all()
    assert table.column("n").to_pylist() == list(range(200_000))
    lines = [json.loads(line) for line in get("JSONEachRow").splitlines()]
    assert [int(line["s"]) for line in lines] == list(range(200_000))
    text = get("CSVWithNames").decode().splitlines()
    assert (text[0], len(text)) == ('"n","s"', 200_001)
    assert len(get("RowBinary")) == sum(8 + 1 + len(str(n)) for n in range(200_000))


@pytest.mark.parametrize(
    "format_name", ["TSV", "JSONEachRow", "CSVWithNames", "JSON", "Native", "ArrowStream"]
)
def test_an_answer_without_rows_is_an_answer(url: SecretStr, format_name: str) -> None:
    response = ask(url, f"SELECT number AS n FROM numbers(10) WHERE n > 10 FORMAT {format_name}")
    assert response.status == 200
    if format_name == "JSON":
        assert json.loads(response.data)["rows"] == 0
    elif format_name == "CSVWithNames":
        assert response.data in (b'"n"\n', b"")


def test_the_answer_says_what_it_cost(url: SecretStr) -> None:
    response = ask(url, "SELECT sum(number) FROM numbers(1000)", query_id="mine")
    summary = json.loads(response.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("1000", "1")
    assert response.headers["X-ClickHouse-Query-Id"] == "mine"
    assert response.headers["X-ClickHouse-Timezone"] == "UTC"
    assert response.headers["X-ClickHouse-Format"] == "TabSeparated"


def test_a_client_that_goes_away_ends_its_query(url: SecretStr) -> None:
    sql = "SELECT number FROM numbers(1000000000000) WHERE sipHash64(number) % 1000 = 0 FORMAT TSV"
    with reading(url, sql, query_id="forgotten") as stream:
        stream.read(1000)
        assert queries_running(url, "forgotten") == 1
    wait_until(lambda: queries_running(url, "forgotten") == 0)


def test_a_client_that_goes_away_before_the_answer_ends_its_query(url: SecretStr) -> None:
    sql = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    with reading(url, sql, query_id="impatient"):
        wait_until(lambda: queries_running(url, "impatient") == 1)
    wait_until(lambda: queries_running(url, "impatient") == 0)


def test_a_query_can_be_killed_by_its_id(url: SecretStr) -> None:
    with ThreadPoolExecutor(1) as thread:
        sql = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
        running = thread.submit(ask, url, sql, query_id="victim")
        wait_until(lambda: queries_running(url, "victim") == 1)
        answer(url, "KILL QUERY WHERE query_id = 'victim' ASYNC")
        assert running.result().headers["X-ClickHouse-Exception-Code"] == "394"


def test_two_queries_cannot_have_one_id(url: SecretStr) -> None:
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(ask, url, "SELECT sleep(1)", query_id="twin")
        wait_until(lambda: queries_running(url, "twin") == 1)
        assert ask(url, "SELECT 1", query_id="twin").headers["X-ClickHouse-Exception-Code"] == "216"
        assert running.result().status == 200


def test_many_parameterised_queries_at_once_give_right_answers(url: SecretStr) -> None:
    client = ClickHouse(url)
    sql = "SELECT {n:UInt64} AS n, {s:String} AS s, sum(number) AS total FROM numbers({n:UInt64})"

    def one(n: int) -> None:
        row = client.rows(sql, {"n": n, "s": f"value {n}"})[0]
        assert row == {"n": n, "s": f"value {n}", "total": n * (n - 1) // 2}

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(one, range(600)))
    client.close()


def test_too_many_statements_are_turned_away_and_come_through_later(url: SecretStr) -> None:
    statuses = []
    lock = threading.Lock()

    def one(_: int) -> None:
        response = urllib3.request(
            "POST",
            address(url),
            headers=credentials(url),
            body=b"SELECT sleep(0.2)",
            timeout=30,
            retries=False,
        )
        with lock:
            statuses.append(response.status)
        if response.status != 200:
            assert response.headers["X-ClickHouse-Exception-Code"] == "202"
            assert response.headers["Retry-After"] == "1"

    with ThreadPoolExecutor(100) as threads:
        list(threads.map(one, range(100)))
    assert set(statuses) == {200, 503}
    assert answer(url, "SELECT 1") == "1\n"


def test_a_slow_reader_does_not_make_the_server_hold_the_answer(
    url: SecretStr, embedded_process: EmbeddedProcess
) -> None:
    def rss_mib() -> int:
        with open(f"/proc/{embedded_process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096 >> 20

    before = rss_mib()
    sql = "SELECT randomPrintableASCII(1000) FROM numbers(2000000) FORMAT TSV"  # 2 GB
    with reading(url, sql, query_id="slow", max_block_size=4096) as stream:
        stream.read(1000)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            assert rss_mib() - before < 200
            time.sleep(0.05)
    wait_until(lambda: queries_running(url, "slow") == 0)


def test_a_form_can_carry_a_long_query(url: SecretStr) -> None:
    fields = {"query": f"SELECT {{a:String}} -- {'x' * 200_000}", "param_a": "from the form"}
    body, content_type = urllib3.encode_multipart_formdata(fields)
    headers = credentials(url) | {"Content-Type": content_type}
    assert answer(url, body=body, headers=headers) == "from the form\n"


def test_an_answer_is_sent_while_the_query_runs(url: SecretStr) -> None:
    began = time.monotonic()
    sql = "SELECT number, sleepEachRow(0.01) FROM numbers(100) FORMAT TSV SETTINGS max_block_size = 10"
    with reading(url, sql) as stream:
        stream.read(1)
        first_s = time.monotonic() - began
        while stream.read(65536):
            pass
    assert first_s < (time.monotonic() - began) / 2
