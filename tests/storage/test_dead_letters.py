"""Dead letters are listed newest first, by page and filter, and are marked once they were replayed."""

import pyarrow as pa
import pytest

from core.log_batch import DEAD_LETTER_SCHEMA
from storage.clickhouse import ClickHouse
from storage.dead_letters import DeadLetters, Filter, read_key
from storage.log_table import LogTables

AT = 1_700_000_000_000_000_000
RAWS = [b'{"a": 1}', b"\xff\x00 no text", "größer".encode(), b"x" * 10, b"x" * 10]


@pytest.fixture
def letters(clickhouse: ClickHouse) -> DeadLetters:
    rows = len(RAWS)
    table = pa.table(
        [
            pa.array([AT, AT + 1, AT + 2, AT + 2, AT + 2]).cast(DEAD_LETTER_SCHEMA.field("received_at").type),
            pa.array(
                ["message: missing", "record: not valid JSON", "level: unknown"] + ["level: unknown"] * 2
            ),
            pa.array(RAWS, pa.binary()),
            pa.array([len(raw) for raw in RAWS], pa.uint64()),
            pa.array(["127.0.0.1"] * (rows - 1) + ["10.0.0.1"]),
            pa.array(["http", "tcp", "http", "http", "tcp"]),
        ],
        schema=DEAD_LETTER_SCHEMA,
    )
    LogTables(clickhouse).insert_dead_letters(table, "token")
    return DeadLetters(clickhouse)


def test_the_newest_come_first_with_their_exact_bytes(letters: DeadLetters) -> None:
    found = letters.find(Filter(), 10)
    assert sorted(letter.raw for letter in found) == sorted(RAWS)
    keys = [(letter.key.received_at_ns, letter.key.id) for letter in found]
    assert keys == sorted(keys, reverse=True)


def test_pages_neither_skip_nor_repeat_letters_of_one_moment(letters: DeadLetters) -> None:
    seen = []
    page = letters.find(Filter(), 2)
    while page:
        seen += page
        page = letters.find(Filter(before=page[-1].key), 2)
    assert seen == letters.find(Filter(), 10)


@pytest.mark.parametrize(
    ("filter_", "count"),
    [
        pytest.param(Filter(), 5, id="all"),
        pytest.param(Filter(reason="level"), 3, id="how the reason begins"),
        pytest.param(Filter(reason="level' OR 1=1 --"), 0, id="a reason is never SQL"),
        pytest.param(Filter(method="tcp"), 2, id="method"),
        pytest.param(Filter(source_ip="10.0.0.1"), 1, id="source"),
        pytest.param(Filter(contains="größer"), 1, id="a piece of the raw bytes"),
        pytest.param(Filter(from_ns=AT + 1), 4, id="from is included"),
        pytest.param(Filter(until_ns=AT + 1), 1, id="until is not"),
        pytest.param(Filter(replayed=True), 0, id="replayed"),
        pytest.param(Filter(replayed=False), 5, id="not replayed"),
        pytest.param(Filter(keys=()), 0, id="none"),
    ],
)
def test_filters(letters: DeadLetters, filter_: Filter, count: int) -> None:
    assert letters.count(filter_) == len(letters.find(filter_, 10)) == count


def test_a_replayed_letter_is_marked_and_stays(letters: DeadLetters) -> None:
    chosen = letters.find(Filter(reason="message"), 10)
    letters.mark_replayed([letter.key for letter in chosen], AT + 5)
    assert letters.count(Filter()) == 5
    assert [letter.replayed_at_ns for letter in letters.find(Filter(replayed=True), 10)] == [AT + 5]
    assert letters.count(Filter(replayed=False)) == 4
    assert letters.find(Filter(keys=(chosen[0].key,)), 10)[0].raw == chosen[0].raw


def test_keys_print_themselves() -> None:
    for text in ("0" * 16 + "-" + "f" * 16,):
        assert str(read_key(text)) == text
    for text in ("", "0-1", "0" * 33, "G" * 16 + "-" + "0" * 16):
        assert read_key(text) is None
