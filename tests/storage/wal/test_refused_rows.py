"""A refused block is halved until the rows that are not taken stand alone."""

import orjson
import pyarrow as pa
import pytest

from core.errors import StorageError, StorageUnavailable
from core.limits import DEAD_LETTER_RAW_BYTES_MAX
from core.log_batch import DEAD_LETTER_SCHEMA
from storage.wal.refused_rows import Refused, as_dead_letters, insert_in_slices
from tests.storage.logs import logs

ROW_REFUSED = StorageError("cannot parse", 27)
TABLE_REFUSED = StorageError("something else", 44)


class Table:
    """Takes every slice without one of the bad rows; remembers tokens and rows."""

    def __init__(self, *bad: int, error: StorageError = ROW_REFUSED) -> None:
        self.bad, self.error = set(bad), error
        self.rows: list[int] = []
        self.tokens: list[str] = []

    def insert(self, rows: pa.Table, token: str) -> None:
        seqs = rows["seq"].to_pylist()
        if self.bad & set(seqs):
            raise self.error
        self.rows += seqs
        self.tokens.append(token)


@pytest.mark.parametrize("bad", [[0], [99], [50], [0, 1, 2], [10, 40, 70], list(range(0, 100, 7))])
def test_only_the_bad_rows_are_refused(bad: list[int]) -> None:
    table = Table(*bad)
    refused = insert_in_slices(table.insert, logs(100), "t", ROW_REFUSED)
    assert sorted(piece.start for piece in refused) == bad
    assert all(piece == Refused(piece.start, 1, "cannot parse") for piece in refused)
    assert sorted(table.rows) == sorted(set(range(100)) - set(bad))


def test_the_slices_and_their_tokens_repeat() -> None:
    first, second = Table(3, 60), Table(3, 60)
    for table in (first, second):
        insert_in_slices(table.insert, logs(100), "t", ROW_REFUSED)
    assert first.tokens == second.tokens
    assert len(set(first.tokens)) == len(first.tokens)


def test_a_store_that_goes_away_meanwhile_ends_the_search() -> None:
    table = Table(3, error=StorageUnavailable("away"))
    with pytest.raises(StorageUnavailable):
        insert_in_slices(table.insert, logs(100), "t", ROW_REFUSED)


def test_when_nothing_is_taken_and_no_row_is_named_nothing_is_given_up() -> None:
    table = Table(*range(1000), error=TABLE_REFUSED)
    with pytest.raises(StorageError) as refusal:
        insert_in_slices(table.insert, logs(1000), "t", TABLE_REFUSED)
    assert refusal.value is TABLE_REFUSED


def test_when_all_rows_are_bad_all_are_refused() -> None:
    refused = insert_in_slices(Table(*range(10)).insert, logs(10), "t", ROW_REFUSED)
    assert sum(piece.rows for piece in refused) == 10


def test_a_refused_log_is_kept_as_the_json_that_it_was() -> None:
    letters = as_dead_letters(logs(5), [Refused(2, 1, "cannot parse")])
    assert letters.schema == DEAD_LETTER_SCHEMA
    (letter,) = letters.to_pylist()
    assert orjson.loads(letter["raw"])["message"] == "hello 2"
    assert (orjson.loads(letter["raw"])["n"], orjson.loads(letter["raw"])["s"]) == (2, "x")
    assert letter["reason"] == "clickhouse: cannot parse"
    assert letter["raw_bytes"] == len(letter["raw"])


def test_a_large_one_is_cut() -> None:
    letters = as_dead_letters(logs(1, message="x" * 100_000), [Refused(0, 1, "r" * 1000)])
    (letter,) = letters.to_pylist()
    assert len(letter["raw"]) == DEAD_LETTER_RAW_BYTES_MAX < letter["raw_bytes"]
    assert len(letter["reason"]) <= 500
