"""The fast way from JSON to columns gives what reading record by record gives, whatever the records are."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RejectedRecord
from core.log_batch import Received
from formats.columns import LogColumns
from formats.json_logs import FAST_WAY_FROM, ParsedLogs, parse_logs, parse_records
from formats.json_record import read_record

RECEIVED = Received(1_700_000_000_000_000_000, "192.0.2.1", "http")
# So many plain logs around the ones of a test that the fast way is taken.
CROWD = [
    b'{"timestamp":"2024-01-15T10:00:00Z","message":"m%d","n":%d}' % (n, n) for n in range(FAST_WAY_FROM)
]


def one_by_one(raws: list[bytes]) -> ParsedLogs:
    columns, errors = LogColumns(), []
    for place, raw in enumerate(raws):
        try:
            columns.append(*read_record(raw))
        except RejectedRecord as rejected:
            columns.reject(rejected.reason, raw)
            errors.append((place, rejected.reason))
    return ParsedLogs(columns.build(RECEIVED), columns.logs, errors)


def assert_same(found: ParsedLogs, expected: ParsedLogs) -> None:
    found.batch.logs.validate(full=True)
    assert found.errors == expected.errors
    assert found.batch.logs.to_pylist() == expected.batch.logs.to_pylist()
    assert found.batch.logs.schema == expected.batch.logs.schema
    assert found.batch.dead_letters.to_pylist() == expected.batch.dead_letters.to_pylist()
    assert found.accepted == expected.accepted


def check(raws: list[bytes]) -> None:
    crowded = [*CROWD[:7], *raws, *CROWD[7:]]
    expected = one_by_one(crowded)
    assert_same(parse_records(crowded, RECEIVED), expected)
    if all(is_value(raw) for raw in raws):
        for body in (b"[" + b",".join(crowded) + b"]", b" [\n" + b" ,\r\n ".join(crowded) + b"\t]\n"):
            assert_same(parse_logs(body, None, RECEIVED), expected)


def is_value(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return raw == raw.strip()


TIMES = [
    '"2024-01-15T10:00:00Z"',
    '"2024-01-15T10:00:00.123456789+05:30"',
    '"2024-01-15 10:00"',
    '"2024\\u002d01-15T10:00:00Z"',
    '"2016-12-31T23:59:60Z"',
    '"1700000000"',
    "1700000000",
    "1700000000123456789",
    "1.7e9",
    "-1",
    '"nonsense"',
    '"9999-12-31T00:00:00Z"',
    '""',
]
SCALARS = st.sampled_from(
    [
        *(
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.50",
            "1e999",
            "12345678901234567890123",
            '""',
            '"a"',
            "[]",
            "{}",
        ),
        *(
            '"a\\"b"',
            '"\\\\"',
            '"\\\\\\""',
            '"\\n\\t\\b\\f\\r"',
            '"\\u00e9\\/"',
            '"\\ud83d\\ude00"',
            '"\\ud83d"',
        ),
        *(
            '"é🎉"',
            '"{}[]:,\\"}{"',
            '"a\\":1,\\"b"',
            '" :"',
            '"x": ',
            "[1,[2,[]]]",
            '[{"a":1,"a":[{}]}]',
            '["\\u0041"]',
        ),
        *TIMES,
    ]
)
NAMES = st.sampled_from(
    [
        *(
            "timestamp",
            "level",
            "service",
            "message",
            "a",
            "b",
            "a.b",
            "a.b.c",
            "",
            "_id",
            "__id",
            "_source_ip",
        ),
        *("é", "a\\u002eb", "\\u0061", 'q\\"', "\\\\", "message.x", "n", "x" * 600, "\\ud83d"),
    ]
)
BLANKS = st.sampled_from(["", "", "", " ", "\t", " \t "])


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    members = []
    for _ in range(draw(st.integers(0, 4))):
        a, b, c, d = (draw(BLANKS) for _ in range(4))
        members.append(f'{a}"{draw(NAMES)}"{b}:{c}{draw(values)}{d}')
    return "{" + ",".join(members) + "}"


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    return "[" + ",".join(draw(st.lists(values, max_size=3))) + "]"


JSON = st.recursive(SCALARS, lambda inner: objects(inner) | arrays(inner), max_leaves=8)


@st.composite
def records(draw: st.DrawFn) -> str:
    members = [f'"timestamp":{draw(st.sampled_from(TIMES))}', f'"message":{draw(SCALARS)}']
    if draw(st.booleans()):
        members.append(f'"level":{draw(st.sampled_from(["null", "3", "30", "{}", LEVEL, STRANGE_LEVEL]))}')
    if draw(st.booleans()):
        members.append(f'"service":{draw(SCALARS)}')
    members += [f'"{draw(NAMES)}":{draw(JSON)}' for _ in range(draw(st.integers(0, 5)))]
    return "{" + draw(BLANKS) + ",".join(draw(st.permutations(members))) + draw(BLANKS) + "}"


LEVEL, STRANGE_LEVEL = '"WARNING"', '"\\u0065rror"'
LIKELY = st.builds(
    lambda message, fields: json.dumps(
        {"timestamp": 1700000000, "message": message, **fields}, separators=(",", ":")
    ),
    st.text(max_size=8),
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda i: st.dictionaries(st.text(max_size=3), i, max_size=3) | st.lists(i, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(records() | LIKELY | JSON | st.text(max_size=10), max_size=8))
def test_any_records(texts: list[str]) -> None:
    check([text.encode("utf-8", "replace") for text in texts])


def deep(depth: int, opening: str, closing: str) -> bytes:
    return f'{{"timestamp":1700000000,"message":"m","a":{opening * depth}1{closing * depth}}}'.encode()


LIKELY_TO_DIFFER = {
    "objects about the greatest depth": [deep(depth, '{"b":', "}") for depth in range(27, 35)],
    "arrays about the greatest depth": [deep(depth, "[", "]") for depth in range(27, 35)],
    "more names than bits": [
        json.dumps({"timestamp": 1700000000, "message": "m", f"n{n}": {f"m{n}": n, "a": n}}).encode()
        for n in range(100)
    ],
    "names twice among many": [
        b'{"timestamp":1700000000,"message":"m","n%d":1,"n%d":2}' % (n, n // 2 * 2) for n in range(100)
    ],
    "a body of more than one record's limit": [
        json.dumps({"timestamp": 1700000000, "message": "m" * 600_000, "n": n}).encode() for n in range(3)
    ],
    "line breaks within records": [b'{"timestamp":1700000000,\n"message":"m"}', b'{\n"message":"m"}'],
    "no fields at all": [b"{}", b"{ }", b'{"timestamp":1700000000,"message":"m","a":{ }}', b"{}"],
    "the same shape in another order": [
        b'{"timestamp":1,"message":"m","a":{"x":1,"b":{"c":1}}}',
        b'{"timestamp":1,"message":"m","a":{"x":1},"a.b":{"c":1}}',
        b'{"timestamp":1,"message":"m","a":{"b":{"c":1},"x":1}}',
        b'{"a":{"x":1,"b":{"c":1}},"message":"m","timestamp":1}',
        b'{"timestamp":1,"message":"m","a":{"x":{},"b":{"c":[]}}}',
    ],
}


@pytest.mark.parametrize("records", LIKELY_TO_DIFFER.values(), ids=LIKELY_TO_DIFFER.keys())
def test_records_at_the_edges_of_the_fast_way(records: list[bytes]) -> None:
    check(records)
