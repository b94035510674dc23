"""Which fields are asked for often enough to deserve a column of their own."""

from dataclasses import dataclass

import pytest

from core.packed_fields import prefix, value_sql
from query.column_choice import ASKED_MIN, FIELDS_MAX, FORGET_AFTER_S, ColumnChoice, fields_of
from query.session import Ran
from query.statement import Statement
from tests.clocks import ManualClock


@dataclass(frozen=True)
class Read:
    """The cost of a statement that read some rows."""

    read_rows: int
    read_bytes: int = 0
    elapsed_s: float = 0.0


MANY, FEW = 100, 99


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def choice(clock: ManualClock) -> ColumnChoice:
    return ColumnChoice(clock, rows_min=MANY)


def asking(*fields: str) -> Statement:
    places = {f"p{place}": prefix(field) for place, field in enumerate(fields)}
    values = ", ".join(value_sql(f"{{{place}:String}}") for place in places)
    sql = f"SELECT {values} FROM logs WHERE level = {{level:String}}"
    return Statement(sql, {**places, "level": "error"})


def ran(statement: Statement, rows: int = MANY) -> Ran:
    return Ran(0.0, "total", "table", statement, 1, Read(rows), 1.0)


def test_a_statement_names_the_fields_that_it_reads_from_all_fields() -> None:
    assert fields_of(asking("status", "host")) == ["status", "host"]
    assert fields_of(Statement("SELECT count() FROM logs WHERE level = {p0:String}", {"p0": "error"})) == []


def test_a_field_is_chosen_once_when_it_has_been_asked_for_often(choice: ColumnChoice) -> None:
    chosen = [choice.note([ran(asking("status"))], []) for _ in range(ASKED_MIN + 3)]
    assert chosen == [[]] * (ASKED_MIN - 1) + [["status"]] + [[]] * 3


def test_statements_that_read_few_rows_do_not_count(choice: ColumnChoice) -> None:
    for _ in range(ASKED_MIN):
        assert choice.note([ran(asking("status"), FEW)], []) == []


def test_a_statement_that_was_too_slow_counts_whatever_it_read(choice: ColumnChoice) -> None:
    chosen = [choice.note([], [asking("status", "host")]) for _ in range(ASKED_MIN)]
    assert chosen[-1] == ["status", "host"]


def test_a_day_later_counting_begins_anew(choice: ColumnChoice, clock: ManualClock) -> None:
    for _ in range(ASKED_MIN - 1):
        choice.note([ran(asking("status"))], [])
    clock.move(FORGET_AFTER_S + 1)
    assert choice.note([ran(asking("status"))], []) == []


def test_names_that_cannot_be_columns_are_never_chosen(choice: ColumnChoice) -> None:
    for _ in range(ASKED_MIN):
        assert choice.note([ran(asking("a`b", "a b"))], []) == []


def test_fields_that_nobody_asks_for_any_more_make_room_for_others(choice: ColumnChoice) -> None:
    for _ in range(ASKED_MIN - 1):
        choice.note([ran(asking("old"))], [])
    choice.note([ran(asking(*(f"new{n}" for n in range(FIELDS_MAX))))], [])
    assert choice.note([ran(asking("old"))], []) == []
