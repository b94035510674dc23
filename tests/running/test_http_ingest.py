"""HTTP ingest against a running instance: every status code, and logs that come back as they went in."""

import gzip
import json
import zlib
from typing import Any

import pytest
import requests
import zstandard

from core.limits import REQUEST_BODY_BYTES_MAX, REQUEST_LOGS_MAX
from tests.running.client import Client

AT = "2024-01-15T10:00:00Z"


def log(message: str, **fields: Any) -> dict[str, Any]:
    return {"timestamp": AT, "message": message, **fields}


def test_an_array_is_accepted_and_searchable(client: Client) -> None:
    marker = client.marker()
    answer = client.ingest([log(f"hello {marker}"), log(f"world {marker}", level="WARNING")])
    assert (answer.status_code, answer.json()) == (202, {"ingested": 2})
    found = client.wait_for(marker, 2)
    assert sorted(entry["level"] for entry in found) == ["info", "warn"]


def test_one_object_and_json_lines_are_accepted(client: Client) -> None:
    marker = client.marker()
    one = json.dumps(log(f"one {marker}"))
    assert client.post(one.encode(), {"Content-Type": "application/json"}).json() == {"ingested": 1}
    lines = f"{one}\n{one}\n"
    assert client.post(lines.encode(), {"Content-Type": "application/x-ndjson"}).json() == {"ingested": 2}
    assert len(client.wait_for(marker, 3)) == 3


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.ZstdCompressor().compress)],
    ids=["gzip", "deflate", "zstd"],
)
def test_compressed_bodies_are_accepted(client: Client, encoding: str, compress: Any) -> None:
    marker = client.marker()
    body = compress(json.dumps([log(f"packed {marker}")]).encode())
    assert client.post(body, {"Content-Encoding": encoding}).status_code == 202
    assert len(client.wait_for(marker, 1)) == 1


METADATA = ("_id", "_ingested_at", "_source_ip", "_method", "_highlights")
AWKWARD: dict[str, Any] = {
    "number": 1,
    "text": "1",
    "big": 12345678901234567890,
    "bigger": 123456789012345678901234567890,
    "negative": -0.5,
    "yes": True,
    "nothing": None,
    "list": [1, "two", None, {"three": [3]}],
    "empty list": [],
    "empty object": {},
    "nested": {"a": {"b": {"c": "deep"}}, "a.b": "dotted"},
    "nested.a.b.c": "literal dots",
    "ünïcödé": "日本語 🎉 \u0000 \\ \" '",
    "": "empty name",
    "_id": "mine",
    "__id": "mine too",
    "quotes": '"; DROP TABLE logs; --',
}


def test_an_awkward_log_comes_back_exactly(client: Client) -> None:
    marker = client.marker()
    sent = log(f"awkward {marker}", service="sürvice", level="error", **AWKWARD)
    assert client.ingest([sent]).status_code == 202
    (found,) = client.wait_for(marker, 1)
    metadata = {key: found.pop(key) for key in METADATA}
    assert (metadata["_source_ip"], metadata["_method"]) == ("127.0.0.1", "http")
    expected = {**sent, "__id": "mine", "___id": "mine too"}
    del expected["_id"]
    assert found == expected


def test_a_bad_record_does_not_cost_its_neighbours(client: Client) -> None:
    marker = client.marker()
    logs: list[Any] = [log(f"good {marker}") for _ in range(5)]
    logs[1] = {"timestamp": AT, "raw": marker}
    logs[3] = "not an object"
    answer = client.ingest(logs)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["ingested"], body["rejected"]) == (3, 2)
    assert [error["index"] for error in body["errors"]] == [1, 3]
    assert body["errors"][0]["reason"] == "message: missing"
    assert len(client.wait_for(marker, 3)) == 3
    letter = client.wait_for_dead_letter(marker)
    assert letter["reason"] == "message: missing"
    assert json.loads(letter["raw"]) == logs[1]


def test_nothing_valid_is_400_with_the_same_shape(client: Client) -> None:
    answer = client.ingest([{"message": "no time"}] * 12)
    assert answer.status_code == 400
    assert answer.json()["ingested"] == 0
    assert answer.json()["rejected"] == 12
    assert len(answer.json()["errors"]) == 10


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"[{]", {}, 400, id="not JSON"),
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(b"[]", {}, 400, id="an empty array"),
        pytest.param(b"[1]", {"Content-Encoding": "br"}, 415, id="an encoding that is not taken"),
        pytest.param(b"no gzip", {"Content-Encoding": "gzip"}, 400, id="a corrupt gzip"),
        pytest.param(b"[1]", {"Authorization": "Bearer wrong"}, 401, id="a wrong key"),
    ],
)
def test_bodies_that_are_refused(client: Client, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = client.post(body, headers)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_missing_key_is_401(client: Client) -> None:
    answer = requests.post(f"{client.url}/api/v1/logs", data=b"[]", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_unparseable_body_names_the_position_and_is_kept(client: Client) -> None:
    marker = client.marker()
    answer = client.post(f'[{{"message": "{marker}" oops}}]'.encode(), {})
    assert answer.status_code == 400
    assert answer.json()["position"] > 0
    assert marker in client.wait_for_dead_letter(marker)["raw"]


def test_too_many_logs_are_413_and_nothing_is_stored(client: Client) -> None:
    marker = client.marker()
    answer = client.ingest([log(marker)] * (REQUEST_LOGS_MAX + 1))
    assert answer.status_code == 413
    after = client.marker()
    assert client.ingest([log(after)]).status_code == 202
    client.wait_for(after, 1)
    assert client.search(marker)["total"] == 0


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_too_large_a_body_is_413(client: Client, encoding: str) -> None:
    body = json.dumps([log("x" * (REQUEST_BODY_BYTES_MAX + 10))]).encode()
    packed = gzip.compress(body) if encoding == "gzip" else body
    assert client.post(packed, {"Content-Encoding": encoding}).status_code == 413


def test_the_full_thousand_is_accepted(client: Client) -> None:
    marker = client.marker()
    answer = client.ingest([log(f"{marker} {n}") for n in range(REQUEST_LOGS_MAX)])
    assert answer.json() == {"ingested": REQUEST_LOGS_MAX}
    client.wait_for(marker, REQUEST_LOGS_MAX)


def test_a_client_cannot_forge_its_address(client: Client) -> None:
    marker = client.marker()
    headers = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    client.post(json.dumps([log(marker)]).encode(), headers)
    assert client.wait_for(marker, 1)[0]["_source_ip"] == "127.0.0.1"


def test_a_foreign_page_is_refused_without_a_key(client: Client) -> None:
    answer = requests.post(
        f"{client.url}/api/v1/search", data=b"{}", headers={"Origin": "http://evil.example"}, timeout=10
    )
    assert answer.status_code == 403
