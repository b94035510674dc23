"""A second instance beside the first, open to the network, on a small disk, with a small write-ahead log."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests

from benchmarks.corpus import build_requests
from benchmarks.disturbances import slow_store
from benchmarks.http_load import HttpLoad, Plan
from benchmarks.instance import Instance, running_instance, temporary_instance
from benchmarks.ledger import Ledger
from cli.processes import processes_of
from tests.running.client import Client, wait_until
from tests.running.load import verdict_of

MIB = 1 << 20
DISK = 600 * MIB
SETTINGS = {
    "LOGRAY_HTTP_HOST": "0.0.0.0",
    "LOGRAY_WAL_BYTES_MAX": str(16 * MIB),
    "LOGRAY_WAL_FREE_DISK_BYTES_MIN": str(100 * MIB),
}
LOG = {"timestamp": "2024-01-15T10:00:00Z", "message": "x" * 1000}


@pytest.fixture(scope="module")
def small(instance: Instance) -> Iterator[Instance]:
    """It runs while the first instance does, on a disk of its own."""
    assert instance.port
    with tempfile.TemporaryDirectory(prefix="logray-disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
        try:
            with temporary_instance({**SETTINGS, "LOGRAY_DATA_DIR": f"{folder}/data"}) as started:
                yield started
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def user(small: Instance) -> Client:
    return Client(f"http://127.0.0.1:{small.port}", small.api_key)


def with_key(user: Client, path: str) -> requests.Response:
    return requests.get(f"{user.url}{path}", headers={"X-API-Key": user.api_key}, timeout=30)


def test_both_instances_answer_and_know_only_their_own_logs(client: Client, user: Client) -> None:
    marker = client.marker()
    assert client.ingest([{**LOG, "message": marker}]).status_code == 202
    client.wait_for(marker, 1)
    assert with_key(user, "/readyz").status_code == 200
    found = requests.post(
        f"{user.url}/api/v1/search", json={"query": marker}, headers={"X-API-Key": user.api_key}, timeout=30
    )
    assert found.json()["total"] == 0


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/api/v1/dead-letters"])
def test_bound_to_the_network_everything_but_healthz_needs_a_key(user: Client, path: str) -> None:
    assert user.get("/healthz").status_code == 200
    assert user.get(path).status_code == 401
    assert with_key(user, path).status_code == 200
    wrong = requests.get(f"{user.url}{path}", headers={"Authorization": "Bearer wrong"}, timeout=10)
    assert wrong.status_code == 401


def test_a_full_wal_is_429_with_retry_after_and_drains_when_the_store_is_back(
    small: Instance, user: Client
) -> None:
    clickhouse = next(
        process.pid
        for process in processes_of(small.instance_id)
        if "EmbeddedClickHouseActor" in process.title
    )
    stored = 0
    os.kill(clickhouse, signal.SIGSTOP)
    try:
        while (answer := user.ingest([LOG] * 1000)).status_code == 202:
            stored += 1000
            assert stored * 1000 < 4 * 16 * MIB, "it takes more than its WAL may hold"
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert stored, "the WAL takes logs while the store is away"
        problem = wait_until(
            lambda: (
                found
                if "storage" in (found := with_key(user, "/readyz").json().get("problems", {}))
                else None
            ),
            "readyz to see it",
        )
        assert any("full" in reason for reason in problem.values())
    finally:
        os.kill(clickhouse, signal.SIGCONT)
    wait_until(lambda: user.ingest([LOG]).status_code == 202 or None, "room in the WAL", 60)
    sql = "SELECT count() FROM logs WHERE message = {text:String}"
    count = wait_until(
        lambda: (
            found if (found := small.store.query(sql, {"text": LOG["message"]}).rows[0][0]) > stored else None
        ),
        "what the WAL held",
        60,
    )
    assert count == stored + 1


def test_a_slow_store_is_429_in_time_and_the_wal_stays_within_its_bound(
    small: Instance, user: Client
) -> None:
    ledger = Ledger(time.time_ns() & 0xFFFF)
    plan = Plan(small.host, small.port, small.api_key, 0, 6.0, 8)
    load = HttpLoad(plan, build_requests(8), ledger)
    with slow_store(small), ThreadPoolExecutor(1) as thread:
        running = thread.submit(load.run)
        while not running.done():
            assert wal_bytes(user) <= 16 * MIB
            wait([running], timeout=0.5)
    outcome = running.result()
    assert outcome.refusals[429] > 0, "it takes more than a slow store can"
    assert (outcome.failed, outcome.without_retry_after) == (0, 0)
    verdict = verdict_of(ledger, small)
    assert verdict.acknowledged > 0
    assert (verdict.lost, verdict.doubled) == (0, 0)


def wal_bytes(user: Client) -> float:
    lines = with_key(user, "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("wal_bytes{"))


def test_a_disk_that_fills_up_refuses_early_and_resumes_by_itself(small: Instance, user: Client) -> None:
    marker = user.marker()
    assert user.ingest([{**LOG, "message": marker}]).status_code == 202
    ballast = small.data_dir / "ballast"
    free = os.statvfs(small.data_dir)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 50 * MIB)
    answer = wait_until(
        lambda: found if (found := user.ingest([LOG])).status_code != 202 else None, "a refusal", 10
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert "disk" in answer.json()["error"]
    searched = requests.post(
        f"{user.url}/api/v1/search", json={"query": marker}, headers={"X-API-Key": user.api_key}, timeout=30
    )
    assert searched.status_code == 200
    ballast.unlink()
    wait_until(lambda: user.ingest([LOG]).status_code == 202 or None, "that it takes logs again", 10)


def says(user: Client, word: str) -> bool | None:
    """Whether a reason that the service is not ready contains the word."""
    problems = with_key(user, "/readyz").json().get("problems", {})
    return any(word in reason for reason in problems.values()) or None


def test_a_start_on_a_full_disk_comes_up_and_says_what_is_wrong(small: Instance, user: Client) -> None:
    ballast = small.data_dir / "ballast"
    free = os.statvfs(small.data_dir)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 20 * MIB)
    for process in processes_of(small.instance_id):
        if "PartitionWriterActor" in process.title:
            os.kill(process.pid, signal.SIGKILL)
    try:
        wait_until(lambda: says(user, "disk"), "the restarted writer to speak of the disk", 60)
    finally:
        ballast.unlink()
    wait_until(lambda: with_key(user, "/readyz").status_code == 200 or None, "readiness", 30)
    assert running_instance(Path(small.data_dir)).port
