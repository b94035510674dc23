"""Finds the fields that deserve a column of their own: those that searches keep reading from all fields."""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from core.clock import Clock
from core.own_columns import OWN_COLUMN_NAME
from core.packed_fields import name_in
from query.session import Ran
from query.statement import Statement

ROWS_MIN: Final = 5_000_000  # read by one statement: fewer are fast as they are
ASKED_MIN: Final = 5  # statements in a day
FORGET_AFTER_S: Final = 86_400.0
FIELDS_MAX: Final = 1000  # that are remembered

_READ: Final = re.compile(r"splitByString\(\{(\w+):String\}, concat\(fields")  # core.packed_fields.value_sql


class ColumnChoice:
    """How often each field was read from the packed fields for many logs."""

    def __init__(self, clock: Clock, rows_min: int = ROWS_MIN) -> None:
        self._clock, self._rows_min = clock, rows_min
        self._asked: OrderedDict[str, tuple[int, float]] = OrderedDict()  # times, and when the first was

    def note(self, ran: Iterable[Ran], overdue: Iterable[Statement]) -> list[str]:
        """Count the statements of a search, and give the fields that have been asked for often enough now.

        `overdue` are those that were ended by the timeout, whatever they read.
        """
        dear = [each.statement for each in ran if each.cost.read_rows >= self._rows_min]
        often: list[str] = []
        for statement in (*dear, *overdue):
            fields = filter(OWN_COLUMN_NAME.fullmatch, fields_of(statement))
            often += [field for field in fields if self._count(field) == ASKED_MIN]
        return often

    def _count(self, field: str) -> int:
        times, since_s = self._asked.pop(field, (0, self._clock.monotonic_s()))
        if self._clock.monotonic_s() - since_s > FORGET_AFTER_S:
            times, since_s = 0, self._clock.monotonic_s()
        self._asked[field] = times + 1, since_s
        if len(self._asked) > FIELDS_MAX:
            self._asked.popitem(last=False)
        return times + 1


def fields_of(statement: Statement) -> list[str]:
    """The fields whose values a statement reads from the packed fields."""
    places = dict.fromkeys(_READ.findall(statement.sql))
    return [name_in(statement.parameters[place]) for place in places]
