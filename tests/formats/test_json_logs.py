"""What becomes of a request's body: logs, dead letters with their reasons, or a refusal with the position."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MalformedBody, TooLarge
from core.limits import (
    DEAD_LETTER_RAW_BYTES_MAX,
    FIELD_NAME_BYTES_MAX,
    RECORD_BYTES_MAX,
    RECORD_FIELDS_MAX,
    RECORD_NESTING_MAX,
    REQUEST_LOGS_MAX,
)
from core.log_batch import Received
from formats.attributes import stored_name
from formats.json_logs import FAST_WAY_FROM, ParsedLogs, parse_logs, unparseable
from formats.restore import restore_json
from tests.formats.rows import stored_rows

RECEIVED = Received(1_700_000_000_000_000_000, "192.0.2.1", "http")
AT = "2024-01-15T10:00:00Z"
GOOD = b'{"timestamp":"2024-01-15T10:00:00Z","message":"good"}'
# A record alone is read by itself, one in a crowd by the fast way.
CROWDS = pytest.mark.parametrize("crowd", [0, FAST_WAY_FROM], ids=["alone", "in a crowd"])


def parse(body: bytes, content_type: str | None = None) -> ParsedLogs:
    return parse_logs(body, content_type, RECEIVED)


def array(*records: bytes) -> bytes:
    return b"[" + b",".join(records) + b"]"


def log(**fields: Any) -> bytes:
    return json.dumps({"timestamp": AT, "message": "m", **fields}).encode()


def nested(depth: int, *, kind: str) -> bytes:
    opening, closing = ('{"a":', "}") if kind == "object" else ("[", "]")
    return (
        f'{{"timestamp":"{AT}","message":"m","a":' + opening * depth + "1" + closing * depth + "}"
    ).encode()


REJECTED = {
    "no timestamp": (b'{"message":"m"}', "timestamp: missing"),
    "null timestamp": (b'{"timestamp":null,"message":"m"}', "timestamp: missing"),
    "timestamp of text": (b'{"timestamp":"yesterday","message":"m"}', "timestamp: not a time"),
    "empty timestamp": (b'{"timestamp":"","message":"m"}', "timestamp: not a time"),
    "timestamp true": (b'{"timestamp":true,"message":"m"}', "timestamp: not a time"),
    "timestamp object": (b'{"timestamp":{"s":1},"message":"m"}', "timestamp: not a time"),
    "timestamp array": (b'{"timestamp":[1],"message":"m"}', "timestamp: not a time"),
    "timestamp before 1970": (b'{"timestamp":-1,"message":"m"}', "timestamp: out of range"),
    "timestamp after 2200": (
        b'{"timestamp":"2200-01-01T00:00:00Z","message":"m"}',
        "timestamp: out of range",
    ),
    "timestamp beyond numbers": (b'{"timestamp":1e999,"message":"m"}', "timestamp: out of range"),
    "no message": (b'{"timestamp":1705312800}', "message: missing"),
    "null message": (b'{"timestamp":1705312800,"message":null}', "message: missing"),
    "message number": (b'{"timestamp":1705312800,"message":5}', "message: not a string"),
    "message object": (b'{"timestamp":1705312800,"message":{"message":"m"}}', "message: not a string"),
    "unknown level": (log(level="loud"), "level: unknown"),
    "level number": (log(level=8), "level: unknown"),
    "level fraction": (log(level=3.5), "level: unknown"),
    "level true": (log(level=True), "level: not a string"),
    "level array": (log(level=["info"]), "level: not a string"),
    "service number": (log(service=1), "service: not a string"),
    "service object": (log(service={"name": "api"}), "service: not a string"),
    "number": (b"5", "record: not an object"),
    "string": (b'"log"', "record: not an object"),
    "array": (b"[1]", "record: not an object"),
    "null": (b"null", "record: not an object"),
    "not UTF-8": (b'{"timestamp":1705312800,"message":"\xff"}', "record: not valid UTF-8"),
    "name not UTF-8": (b'{"timestamp":1705312800,"message":"m","\xff":1}', "record: not valid UTF-8"),
    "too large": (log(a="x" * RECORD_BYTES_MAX), "record: too large"),
    "too many fields": (log(**{f"f{n}": n for n in range(RECORD_FIELDS_MAX + 1)}), "record: too many fields"),
    "too many leaves": (
        log(a={f"f{n}": n for n in range(RECORD_FIELDS_MAX + 1)}),
        "record: too many fields",
    ),
    "objects too deep": (nested(RECORD_NESTING_MAX, kind="object"), "record: nested too deep"),
    "arrays too deep": (nested(RECORD_NESTING_MAX, kind="array"), "record: nested too deep"),
    "long name": (log(**{"n" * (FIELD_NAME_BYTES_MAX + 1): 1}), "field name: too long"),
    "long name in bytes": (log(**{"é" * (FIELD_NAME_BYTES_MAX // 2 + 1): 1}), "field name: too long"),
    "long path": (log(a={"n" * (FIELD_NAME_BYTES_MAX - 1): 1}), "field name: too long"),
}


@CROWDS
@pytest.mark.parametrize(("record", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_a_record_that_is_no_log_is_a_dead_letter_and_costs_no_neighbour(
    record: bytes, reason: str, crowd: int
) -> None:
    parsed = parse(array(*[GOOD] * (1 + crowd), record, GOOD))
    assert parsed.errors == [(1 + crowd, reason)]
    assert parsed.accepted == parsed.batch.logs.num_rows == 2 + crowd
    (letter,) = parsed.batch.dead_letters.to_pylist()
    assert letter["reason"] == reason
    assert letter["raw"] == record[:DEAD_LETTER_RAW_BYTES_MAX]
    assert letter["raw_bytes"] == len(record)
    assert (letter["source_ip"], letter["method"]) == ("192.0.2.1", "http")


@CROWDS
@pytest.mark.parametrize(
    "record",
    [
        log(**{f"f{n}": n for n in range(RECORD_FIELDS_MAX)}),
        nested(RECORD_NESTING_MAX - 1, kind="object"),
        nested(RECORD_NESTING_MAX - 1, kind="array"),
        log(**{"n" * FIELD_NAME_BYTES_MAX: 1}),
        log(a="x" * (RECORD_BYTES_MAX - len(log(a="")))),
        b'{"timestamp":1705312800,"message":""}',
    ],
    ids=["fields", "objects", "arrays", "name", "size", "empty message"],
)
def test_a_record_at_a_limit_is_a_log(record: bytes, crowd: int) -> None:
    parsed = parse(array(record, *[GOOD] * crowd))
    assert parsed.errors == []
    assert parsed.accepted == 1 + crowd


FORMS = {
    "an array": (array(GOOD, GOOD), None, 2),
    "an array with blanks": (b" \r\n[\n" + GOOD + b" ,\n\t" + GOOD + b" ] \n", None, 2),
    "one object": (GOOD, "application/json", 1),
    "one object over several lines": (GOOD.replace(b",", b",\n  "), None, 1),
    "a BOM": (b"\xef\xbb\xbf" + array(GOOD), None, 1),
    "JSON lines": (GOOD + b"\n" + GOOD + b"\n", "application/x-ndjson", 2),
    "JSON lines with CRLF and blank lines": (
        b"\r\n" + GOOD + b"\r\n\r\n \n" + GOOD,
        "application/x-ndjson; charset=utf-8",
        2,
    ),
    "one JSON line": (GOOD, "application/jsonl", 1),
    "JSON lines by another name": (GOOD + b"\n" + GOOD, "text/plain", 2),
    "JSON lines as curl sends them": (GOOD + b"\n" + GOOD, "application/x-www-form-urlencoded", 2),
    "the full number": (array(*[GOOD] * REQUEST_LOGS_MAX), None, REQUEST_LOGS_MAX),
    "the full number of lines": (b"\n".join([GOOD] * REQUEST_LOGS_MAX), None, REQUEST_LOGS_MAX),
}


@pytest.mark.parametrize(("body", "content_type", "count"), FORMS.values(), ids=FORMS.keys())
def test_a_body_in_any_form_is_taken(body: bytes, content_type: str | None, count: int) -> None:
    parsed = parse(body, content_type)
    assert (parsed.accepted, parsed.errors) == (count, [])
    assert parsed.batch.dead_letters.num_rows == 0


@CROWDS
def test_a_bad_line_costs_that_line_only(crowd: int) -> None:
    lines = [*[GOOD] * crowd, GOOD, b'{"timestamp"', b"plain", b"[]", b'{"message":"m"}', GOOD, GOOD + GOOD]
    parsed = parse(b"\n".join(lines), "application/x-ndjson")
    assert parsed.accepted == crowd + 2
    assert parsed.errors == [
        (crowd + 1, "record: not valid JSON"),
        (crowd + 2, "record: not valid JSON"),
        (crowd + 3, "record: not an object"),
        (crowd + 4, "timestamp: missing"),
        (crowd + 6, "record: not valid JSON"),
    ]
    assert [letter["raw"] for letter in parsed.batch.dead_letters.to_pylist()] == [*lines[-6:-2], lines[-1]]


def test_lines_that_are_json_only_together_are_no_logs() -> None:
    lines = [GOOD] * FAST_WAY_FROM + [GOOD + b',{"b":[1', b"2]}", GOOD + b'{"a":', b"1}"]
    parsed = parse(b"\n".join(lines), "application/x-ndjson")
    assert parsed.accepted == FAST_WAY_FROM
    assert [reason for _, reason in parsed.errors] == ["record: not valid JSON"] * 4


REFUSED = {
    "nothing": (b"", 0),
    "blanks": (b" \n\t", 0),
    "an empty array": (b"[ ]", 0),
    "a word": (b"hello", 0),
    "a number": (b" 5", 0),
    "a string": (b'"log"', 0),
    "no JSON": (b'[{"message": "m" oops}]', 17),
    "no JSON after blanks": (b'  [{"message": "m" oops}]', 19),
    "no JSON after a BOM": (b'\xef\xbb\xbf[{"message": "m" oops}]', 20),
    "cut off": (b'[{"message": "m"}', 17),
    "a comma too many": (b'[{"a": 1},]', 10),
    "more after the array": (b"[{}] {}", 5),
    "more after the object": (b'{"a": 1} {"b": 2}', 9),
    "a wrong escape": (rb'[{"a": "\q"}]', 9),
    "a control character": (b'[{"a": "\x01"}]', 8),
    "NaN": (b'[{"a": NaN}]', 7),
}


@pytest.mark.parametrize(("body", "position"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_cannot_be_parsed_is_refused_with_the_position(body: bytes, position: int) -> None:
    with pytest.raises(MalformedBody) as raised:
        parse(body)
    assert raised.value.position == position


def test_a_body_nested_beyond_all_measure_is_refused() -> None:
    with pytest.raises(MalformedBody, match="nested too deep"):
        parse(b"[" * 100_000)


@pytest.mark.parametrize(
    "body",
    [
        array(*[GOOD] * (REQUEST_LOGS_MAX + 1)),
        b"\n".join([GOOD] * (REQUEST_LOGS_MAX + 1)),
        array(*[b"1"] * 5000),
    ],
    ids=["array", "lines", "no logs at all"],
)
def test_more_logs_than_the_limit_are_refused(body: bytes) -> None:
    with pytest.raises(TooLarge):
        parse(body)


def test_a_body_that_cannot_be_parsed_is_kept_as_one_dead_letter() -> None:
    batch = unparseable(b"\xff" * (DEAD_LETTER_RAW_BYTES_MAX + 1), "cannot parse the body", RECEIVED)
    (letter,) = batch.dead_letters.to_pylist()
    assert batch.logs.num_rows == 0
    assert letter["reason"] == "cannot parse the body"
    assert letter["raw"] == b"\xff" * DEAD_LETTER_RAW_BYTES_MAX
    assert letter["raw_bytes"] == DEAD_LETTER_RAW_BYTES_MAX + 1


LEVELS = [(None, "info"), ("", "info"), ("WARNING", "warn"), (" Err ", "error"), (3, "error"), ("30", "info")]


@CROWDS
@pytest.mark.parametrize(("sent", "stored"), LEVELS)
def test_a_level_is_one_of_six(sent: str | int | None, stored: str, crowd: int) -> None:
    parsed = parse(array(log(level=sent), *[GOOD] * crowd))
    assert stored_rows(parsed.batch.logs)[0]["level"] == stored


METADATA = ("_id", "_ingested_at", "_source_ip", "_method")
AWKWARD: dict[str, Any] = {
    "number": 1,
    "text": "1",
    "fraction": -0.5,
    "yes": True,
    "nothing": None,
    "list": [1, "two", None, {"three": [3], "four": {}}, [[]]],
    "empty list": [],
    "empty object": {},
    "nested": {"a": {"b": {"c": "deep"}}, "a.b": "dotted", "%s": "%d", "": {}},
    "nested.a.b.d": "literal dots",
    "ünïcödé": "日本語 🎉 \u0000 \\ \" ' \u2028 \x7f",
    "": "empty name",
    "a\nb": "line break",
    "_other": "mine",
}


def round_trip(sent: dict[str, Any], crowd: int) -> dict[str, Any]:
    parsed = parse(array(*[GOOD] * crowd, json.dumps(sent).encode()))
    assert parsed.errors == []
    found: dict[str, Any] = json.loads(restore_json(stored_rows(parsed.batch.logs)[-1]))
    return found


@CROWDS
def test_an_awkward_log_comes_back_as_it_was_sent(crowd: int) -> None:
    sent = {"timestamp": AT, "level": "error", "service": "sürvice", "message": "m 🎉\n", **AWKWARD}
    found = round_trip(sent, crowd)
    assert list(found) == [*sent, *METADATA]
    assert {name: value for name, value in found.items() if name not in METADATA} == sent


@CROWDS
def test_fields_with_one_path_between_them_come_back_apart(crowd: int) -> None:
    fields: dict[str, Any] = {"a": {"b": {"c": 1}, "b.c": 2}, "a.b": {"c": 3}, "a.b.c": 4, "d": {"e": 5}}
    found = round_trip({"timestamp": AT, "message": "m", **fields}, crowd)
    assert {name: found[name] for name in fields} == fields


@CROWDS
def test_names_of_metadata_get_one_more_underscore(crowd: int) -> None:
    sent = {
        "timestamp": AT,
        "message": "m",
        "_id": 1,
        "__id": 2,
        "_method": {"a": 3},
        "_highlights": 4,
        "id": 5,
    }
    found = round_trip(sent, crowd)
    assert (found["__id"], found["___id"], found["__method"], found["__highlights"], found["id"]) == (
        *(1, 2, {"a": 3}, 4),
        5,
    )
    assert found["_id"] == f"{1_705_312_800_000_000_000:016x}-{crowd:016x}"
    assert (found["_source_ip"], found["_method"]) == ("192.0.2.1", "http")
    assert found["_ingested_at"] == "2023-11-14T22:13:20Z"


NUMBERS = [
    "12345678901234567890",
    "-0",
    "0.10",
    "1E400",
    "1e-400",
    "3.141592653589793238462643383279",
    "1" * 400,
]


@CROWDS
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_keeps_its_digits(number: str, crowd: int) -> None:
    record = f'{{"timestamp":"{AT}","message":"m","n":{number},"in":{{"n":[{number}, {{"n":{number}}}]}}}}'
    parsed = parse(array(*[GOOD] * crowd, record.encode()))
    restored = restore_json(stored_rows(parsed.batch.logs)[-1]).decode()
    assert f'"n":{number},"in":{{"n":[{number},{{"n":{number}}}]}}' in restored


@CROWDS
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 cut", "\ufffd cut"),
        (r"\ud83d\ude00", "😀"),
        (r"\\ud83d", "\\ud83d"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_half_a_surrogate_pair_does_not_cost_the_log(text: str, kept: str, crowd: int) -> None:
    record = f'{{"timestamp":"{AT}","message":"{text}","{text}":["{text}"]}}'
    parsed = parse(array(*[GOOD] * crowd, record.encode()))
    assert parsed.errors == []
    found = json.loads(restore_json(stored_rows(parsed.batch.logs)[-1]))
    assert (found["message"], found[kept]) == (kept, [kept])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.text(max_size=6) | st.sampled_from(["a", "a.b", "a.b.c", "b", "."]), VALUES, max_size=6
).map(
    lambda fields: {
        name: value
        for name, value in fields.items()
        # Names of metadata come back under another one: a test of their own has them.
        if name not in ("timestamp", "level", "service", "message") and stored_name(name) == name
    }
)


@settings(max_examples=300, deadline=None)
@given(FIELDS, st.text(), st.text(min_size=1), st.sampled_from([0, FAST_WAY_FROM]), st.booleans())
def test_any_log_comes_back_as_it_was_sent(
    fields: dict[str, Any], message: str, service: str, crowd: int, ascii_only: bool
) -> None:
    sent = {"timestamp": AT, "level": "debug", "service": service, "message": message, **fields}
    body = array(json.dumps(sent, ensure_ascii=ascii_only).encode(), *[GOOD] * crowd)
    found = json.loads(restore_json(stored_rows(parse(body).batch.logs)[0]))
    assert {name: value for name, value in found.items() if name not in METADATA} == sent


@settings(max_examples=300, deadline=None)
@given(st.binary() | st.text(alphabet='[]{}",:\\ \n1aé').map(str.encode))
def test_any_bytes_are_taken_apart_or_refused(body: bytes) -> None:
    try:
        parsed = parse(body)
    except MalformedBody:
        return
    assert parsed.accepted + len(parsed.errors) >= 1
    assert parsed.batch.logs.num_rows == parsed.accepted
    assert parsed.batch.dead_letters.num_rows == len(parsed.errors)
