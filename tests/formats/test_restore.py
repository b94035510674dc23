"""A stored row becomes the object that was sent."""

import json
from typing import Any

import orjson
import pytest

from formats.restore import restore_json, restore_log

ROW: dict[str, Any] = {
    "timestamp_ns": 1_705_312_800_000_000_000,
    "seq": 2**64 - 1,
    "level": "info",
    "service": "api",
    "message": "m",
    "attributes": {"a": "1"},
    "shape": "",
    "ingested_at_ns": 1_705_312_800_250_000_000,
    "source_ip": "192.0.2.1",
    "method": "tcp",
}


def test_a_log_is_flat_with_its_metadata_last() -> None:
    assert list(json.loads(restore_json(ROW)).items()) == [
        ("timestamp", "2024-01-15T10:00:00Z"),
        ("level", "info"),
        ("service", "api"),
        ("message", "m"),
        ("a", 1),
        ("_id", f"{ROW['timestamp_ns']:016x}-ffffffffffffffff"),
        ("_ingested_at", "2024-01-15T10:00:00.250Z"),
        ("_source_ip", "192.0.2.1"),
        ("_method", "tcp"),
    ]


def test_a_log_without_a_service_has_none() -> None:
    assert "service" not in restore_log({**ROW, "service": ""})


@pytest.mark.parametrize(
    ("shape", "attributes", "text"),
    [
        ('{"a":{"b":0}}', {"a.b": "1"}, '"a":{"b":1}'),
        (
            '{"a":{"b":{"c":0},"d":0},"e":0}',
            {"e": "[]", "a.d": "{}", "a.b.c": "null"},
            '"a":{"b":{"c":null},"d":{}},"e":[]',
        ),
        ('{"100%":{"%s":0}}', {"100%.%s": '"%d"'}, '"100%":{"%s":"%d"}'),
        (r'{"a\"":{"":0}}', {'a".': "1"}, r'"a\"":{"":1}'),
        ('{"a":{"b":0,"c":0}}', {"a.c": "2"}, '"a":{"b":null,"c":2}'),
    ],
    ids=["one", "several in another order", "percent signs", "quotes", "one that is lost"],
)
def test_the_shape_nests_again(shape: str, attributes: dict[str, str], text: str) -> None:
    restored = restore_json({**ROW, "shape": shape, "attributes": attributes}).decode()
    assert f'"message":"m",{text},"_id"' in restored


def test_a_large_shape_needs_no_cache() -> None:
    names = [f"name{n}" for n in range(1000)]
    shape = orjson.dumps({"a": dict.fromkeys(names, 0)}).decode()
    found = json.loads(
        restore_json({**ROW, "shape": shape, "attributes": {f"a.{name}": "1" for name in names}})
    )
    assert found["a"] == dict.fromkeys(names, 1)
