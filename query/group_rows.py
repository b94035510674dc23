"""The rows of an aggregation: of the source that the plan names, of the table where that one cannot tell."""

from collections.abc import Sequence

from core.errors import InvalidSearch, StorageError
from query.aggregation_answer import Rows
from query.index_values import values_by_index
from query.learning import Learned, table_facts
from query.plan.nodes import DictionaryValues, Groups, IndexValues
from query.render import GROUPS_MAX, TOO_MANY_VALUES, by_value_statement, groups_statement
from query.render_dictionary import dictionary_statement
from query.search import TimeRange
from query.session import Session

TOO_MANY_GROUPS = f"gives more than {GROUPS_MAX} groups: narrow the search or take a longer interval"


async def group_rows(
    session: Session, learned: Learned, groups: Groups | DictionaryValues | IndexValues, part: str
) -> Rows:
    """A row for each group: its keys, then its measure. Raises InvalidSearch when there are too many."""
    if isinstance(groups, Groups):
        return await rows_of(session, learned, groups, part)
    rows: Rows | None
    if isinstance(groups, IndexValues):
        rows = await values_by_index(session, learned, groups, part)
    else:
        rows = await _dictionary_rows(session, groups, part)
    return await rows_of(session, learned, groups.otherwise, part) if rows is None else rows


async def rows_of(
    session: Session, learned: Learned, groups: Groups, part: str, only: Sequence[str] | None = None
) -> Rows:
    """The same of the table or a rollup; `only` leaves the groups whose first key is one of these values."""
    rows: Rows | None = None
    if _is_by_value(groups, session):
        rows = await _rows_by_value(session, learned, groups, part, only)
    if rows is None:
        rows = await session.run(part, groups.source, groups_statement(learned.filter, groups, only))
    if len(rows) > GROUPS_MAX:
        raise InvalidSearch({part: TOO_MANY_GROUPS})
    return rows


def _is_by_value(groups: Groups, session: Session) -> bool:
    """Whether it measures numbers of a column that holds each different value once."""
    measure = groups.measure
    return measure.kind in ("stats", "percentiles") and measure.field in session.columns


async def _rows_by_value(
    session: Session, learned: Learned, groups: Groups, part: str, only: Sequence[str] | None
) -> Rows | None:
    """None when there are too many values."""
    try:
        return await session.run(part, groups.source, by_value_statement(learned.filter, groups, only))
    except StorageError as error:
        if error.code != TOO_MANY_VALUES:
            raise
        return None


async def _dictionary_rows(session: Session, values: DictionaryValues, part: str) -> Rows | None:
    """None when a value was cut, or a log came meanwhile that the range does not hold."""
    statement = dictionary_statement(values, session.store.database, session.columns)
    rows = await session.run(part, "dictionary", statement)
    if any(row[-1] for row in rows) or not await _holds(session, values.guard):
        return None
    return [row[:-1] for row in rows]


async def _holds(session: Session, guard: TimeRange | None) -> bool:
    return guard is None or guard.covers((await table_facts(session)).span)
