"""What an operator sees of a running instance: health, metrics, dead letters, status."""

import json
import shutil
import socket
import subprocess
import sys

import pytest
import requests

from benchmarks.instance import ROOT, Instance
from tests.running.client import Client, wait_until

PROMTOOL = shutil.which("promtool")


def test_healthz_and_readyz_answer_200(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"status": "ready"})


def test_an_unknown_path_is_404_in_json(client: Client) -> None:
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})
    assert client.get("/-/routes").status_code == 404


def numbers(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_metrics_have_the_promised_names_and_add_up(client: Client) -> None:
    before = numbers(client).get('logs_ingested_total{method="http"}', 0.0)
    marker = client.marker()
    client.ingest([{"timestamp": 1700000000, "message": marker}] * 7 + [{"message": "no time"}])
    after = wait_until(
        lambda: (
            found
            if (found := numbers(client)).get('logs_ingested_total{method="http"}') == before + 7
            else None
        ),
        "seven more logs in the metrics",
    )
    assert after['logs_rejected_total{reason="timestamp"}'] >= 1
    assert after['dead_letters_total{method="http"}'] >= 1
    assert after["ingestion_latency_seconds_count"] >= 1
    for q in ("0.5", "0.9", "0.99"):
        assert 0 < after[f'ingestion_latency_seconds{{quantile="{q}"}}'] < 60
    for name in ("wal_bytes", "buffered_rows", "buffered_bytes"):
        assert any(key.startswith(name + "{") for key in after)


def test_what_haproxy_refuses_is_in_the_metrics(instance: Instance, client: Client) -> None:
    def refused(reason: str) -> float | None:
        return numbers(client).get(f'http_requests_refused_total{{reason="{reason}"}}')

    before = {
        reason: wait_until(lambda reason=reason: refused(reason), "the first reading")
        for reason in ("busy", "too_large", "unavailable", "bad_request", "denied")
    }
    with socket.create_connection((instance.host, instance.port), timeout=10) as connection:
        connection.sendall(b"POST /api/v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in connection.recv(4096)
    wait_until(lambda: refused("too_large") == before["too_large"] + 1 or None, "one more")
    assert refused("unavailable") == before["unavailable"]


def test_promtool_finds_no_error_in_the_metrics(client: Client) -> None:
    assert PROMTOOL, "install the packages of tests/apt-packages.txt"
    text = client.get("/metrics").text
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_dead_letters_are_listed_by_page_and_filter(client: Client) -> None:
    marker = client.marker()
    client.ingest([{"timestamp": 1, "text": f"{marker} {n}"} for n in range(5)])
    client.wait_for_dead_letter(marker)
    first = client.get("/api/v1/dead-letters", contains=marker, limit="3").json()
    assert (first["total"], len(first["dead_letters"])) == (5, 3)
    rest = client.get("/api/v1/dead-letters", contains=marker, limit="3", cursor=first["next_cursor"]).json()
    assert (rest["next_cursor"], len(rest["dead_letters"])) == (None, 2)
    letters = first["dead_letters"] + rest["dead_letters"]
    assert len({letter["id"] for letter in letters}) == 5
    assert {letter["reason"] for letter in letters} == {"message: missing"}
    assert {letter["source_ip"] for letter in letters} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "0"}, {"limit": "x"}, {"cursor": "x"}, {"from": "yesterday-ish"}, {"unknown": "1"}],
    ids=str,
)
def test_a_wrong_parameter_names_its_path(client: Client, parameters: dict[str, str]) -> None:
    answer = client.get("/api/v1/dead-letters", **parameters)
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == list(parameters)


def replay(client: Client, body: object) -> requests.Response:
    return requests.post(
        f"{client.url}/api/v1/dead-letters/replay",
        json=body,
        headers={"Authorization": f"Bearer {client.api_key}"},
        timeout=30,
    )


def test_a_replay_stores_what_can_be_stored_now_and_keeps_the_rest(
    instance: Instance, client: Client
) -> None:
    marker = client.marker()
    client.ingest([{"timestamp": 1700000000, "text": marker}])
    kept = client.wait_for_dead_letter(marker)
    # As a release with stricter rules would have left it behind.
    raw = json.dumps({"timestamp": 1700000000, "message": f"{marker} forgiven"})
    instance.store.command(
        "INSERT INTO dead_letters (id, received_at, reason, raw, raw_bytes, source_ip, method) "
        "SELECT 7, now64(9), 'message: too strict', {raw:String}, length({raw:String}), '10.1.2.3', 'http'",
        {"raw": raw},
    )
    assert replay(client, {"contains": marker}).json() == {
        "replayed": 1,
        "failed": 1,
        "remaining": 1,
        "errors": [{"id": kept["id"], "reason": "message: missing"}],
    }
    (log,) = client.wait_for(f"{marker} forgiven", 1)
    assert log["_source_ip"] == "10.1.2.3"
    again = replay(client, {"contains": marker}).json()
    assert (again["replayed"], again["failed"]) == (0, 1)
    assert client.get("/api/v1/dead-letters", contains=marker, replayed="true").json()["total"] == 1


def test_a_replay_needs_a_key(client: Client) -> None:
    answer = requests.post(f"{client.url}/api/v1/dead-letters/replay", json={}, timeout=10)
    assert answer.status_code == 401


def test_status_names_the_processes_and_the_state(instance: Instance) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "cli.main", "status", "--json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "LOGRAY_DATA_DIR": str(instance.data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(answer.stdout)
    assert found["state"] == "ready"
    titles = " ".join(process["title"] for process in found["processes"])
    for part in ("SupervisorActor", "PartitionWriterActor", "EmbeddedClickHouseActor", "haproxy"):
        assert part in titles
