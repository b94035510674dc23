"""The README's demos, as a newcomer types them: each block of shell, in order, on a fresh instance."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from benchmarks.instance import ROOT, Instance, temporary_instance
from tests.running.client import Client, wait_until

SEARCH = "curl -X POST http://localhost:8080/api/v1/search"
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Instance]:
    with temporary_instance() as started:
        yield started


@pytest.fixture(scope="module")
def answers(fresh: Instance) -> list[list[str]]:
    """What each block printed, line by line."""
    blocks = SHELL.findall((ROOT / "README.md").read_text())
    return [run(fresh, block) for block in blocks if "make up" not in block and "export API_KEY" not in block]


def run(instance: Instance, block: str) -> list[str]:
    # The page promises that a log is searchable two seconds after its 202.
    script = block.replace(f"\n\n{SEARCH}", f"\n\nsleep 2; {SEARCH}", 1)
    script = script.replace("localhost:8080", f"localhost:{instance.port}")
    script = script.replace("localhost 5514", f"localhost {instance.tcp_port}")
    # Each answer on a line of its own.
    script = script.replace("curl -X", "echo; curl -sS -X").replace("curl http", "echo; curl -sS http")
    shell = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": "/usr/bin:/bin", "API_KEY": instance.api_key},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shell.stderr == ""
    return [line for line in shell.stdout.splitlines() if line]


def found(instance: Instance, query: str, count: int) -> bool | None:
    return Client(instance.url, instance.api_key).search(query)["total"] >= count or None


def test_two_logs_are_taken_and_one_is_found(answers: list[list[str]]) -> None:
    ingested, searched = map(json.loads, answers[0])
    assert ingested == {"ingested": 2}
    assert [log["message"] for log in searched["logs"]] == ["Database timeout"]
    assert searched["logs"][0]["duration_ms"] == 5000
    assert searched["total"] == 1


def test_searches_by_field_and_aggregations(answers: list[list[str]]) -> None:
    errors, everything = map(json.loads, answers[1])
    assert {log["level"] for log in errors["logs"]} == {"error"}
    aggregations = everything["aggregations"]
    assert aggregations["by_level"] == {"error": 1, "info": 1}
    assert aggregations["by_hour"]["2024-01-15T10:00:00Z"] == 2
    assert len(aggregations["by_hour"]) == 24


def test_an_alert_is_made_listed_muted_and_acknowledged(answers: list[list[str]]) -> None:
    made, listed, one, muted, acknowledged = map(json.loads, answers[2])
    assert made["id"].startswith("alert-")
    assert made["notifications"][1]["service_key"] != "xxx"
    assert [alert["id"] for alert in listed["alerts"]] == [made["id"]]
    assert {"state", "last_triggered", "value"} <= one.keys()
    assert one["state"] == "ok"
    assert muted["muted"]["reason"] == "deployment"
    assert acknowledged["id"] == made["id"]


def test_syslog_and_json_lines_over_tcp_are_searchable_within_two_seconds(
    answers: list[list[str]], fresh: Instance
) -> None:
    assert answers[3] == []
    client = Client(fresh.url, fresh.api_key)
    wait_until(lambda: found(fresh, "Hello", 1), "the line of JSON", 2.5)
    (log,) = client.search("hostname:myhost")["logs"]
    assert (log["message"], log["service"], log["_method"]) == ("Request processed", "api", "tcp")
