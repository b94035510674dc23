"""A data directory is opened by one process at a time, and comes back as it was."""

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from threading import Event

import pytest

from storage.embedded.endpoint import FILE, bind, clickhouse_directory, embedded_url
from storage.embedded.workers import Busy, Workers
from tests.conftest import ROOT, EmbeddedProcess
from tests.storage.embedded.http import answer


@pytest.fixture(scope="module")
def data_dir(embedded_process: EmbeddedProcess) -> Path:
    return embedded_process.data_dir


def test_a_second_process_is_refused_and_told_by_whom(embedded_process: EmbeddedProcess) -> None:
    code = (
        "import sys; from pathlib import Path; from storage.embedded import engine\n"
        "engine.LOCK_WAIT_S = 0.1; engine.Engine(Path(sys.argv[1]) / 'clickhouse')"
    )
    command = [sys.executable, "-c", code, str(embedded_process.data_dir)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"the process {embedded_process.pid} has it open already" in second.stderr
    assert answer(embedded_process.url, "SELECT 1", database="default") == "1\n"


def test_a_restarted_process_has_the_same_url_and_rows(tmp_path: Path) -> None:
    process = EmbeddedProcess(tmp_path)
    url = process.url
    answer(url, "CREATE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT 7 AS a", database="default")
    process.stop()
    process.start()
    assert process.url == url
    assert answer(url, "SELECT a FROM t", database="default") == "7\n"
    process.kill()
    process.start()
    assert process.url == url
    assert answer(url, "SELECT a FROM t", database="default") == "7\n"
    process.stop()


def test_the_password_is_readable_by_its_owner_alone(data_dir: Path) -> None:
    file = clickhouse_directory(data_dir) / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_before_the_first_start_there_is_no_url(tmp_path: Path) -> None:
    assert embedded_url(tmp_path) is None


def test_a_port_that_somebody_else_took_is_replaced_and_the_password_kept(tmp_path: Path) -> None:
    first, taken = bind(tmp_path)
    second, listener = bind(tmp_path)
    assert second.port != first.port
    assert second.password == first.password
    taken.close()
    listener.close()
    third, listener = bind(tmp_path)
    assert third == second
    listener.close()


def test_a_damaged_endpoint_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"port": 80')
    endpoint, listener = bind(tmp_path)
    listener.close()
    assert endpoint.port > 1024
    assert endpoint.password not in repr(endpoint)


def test_a_group_of_threads_has_a_bounded_number_of_places() -> None:
    workers = Workers("test", threads=1, waiting_max=1)
    release = Event()
    futures: list[Future[int]] = [
        workers.submit(lambda: os.getpid() if release.wait(10) else 0) for _ in range(2)
    ]
    with pytest.raises(Busy, match="2 test statements"):
        workers.submit(os.getpid)
    release.set()
    assert [future.result(10) for future in futures] == [os.getpid()] * 2
    assert workers.submit(os.getpid).result(10) == os.getpid()
    workers.close()
    assert workers.taken == 0


def test_an_insert_whose_part_never_came_into_place_is_not_taken_for_stored(tmp_path: Path) -> None:
    def insert(token: str) -> None:
        answer(
            process.url,
            "INSERT INTO t FORMAT CSV",
            body=b"1\n",
            database="d",
            insert_deduplication_token=token,
        )

    process = EmbeddedProcess(tmp_path)
    answer(process.url, "CREATE DATABASE d", database="default")
    settings = "SETTINGS non_replicated_deduplication_window = 100"
    answer(process.url, f"CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a {settings}", database="d")
    insert("a")
    insert("b")
    process.kill()
    (part,) = tmp_path.glob("clickhouse/store/store/*/*/all_2_2_0")
    shutil.rmtree(part)  # as if the kill had come after the id was noted and before the part was renamed
    process.start()
    insert("a")
    insert("b")
    assert answer(process.url, "SELECT count() FROM t", database="d") == "2\n"
    process.stop()
