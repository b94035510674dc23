"""The statement that asks the text index's dictionary for the values of a field and their counts."""

from datetime import UTC, datetime

from core.packed_fields import TOKEN_VALUE_BYTES
from query.ast import MatchAll
from query.catalog import field_named
from query.known import Filter
from query.plan.nodes import DAYS_END_NS, DictionaryValues, Groups, ValueKey
from query.render import piece_select
from query.render_groups import shown_key
from query.render_index import index_table
from query.search import TimeRange
from query.statement import Binds, Statement
from query.times import SECOND_NS


def dictionary_statement(values: DictionaryValues, database: str, columns: frozenset[str]) -> Statement:
    """Values and counts of a field, by count; of each whether the index may have cut it."""
    bind = Binds(columns)
    prefix = field_named(values.field).token("")
    cut = f"length(token) >= {len(prefix.encode()) + TOKEN_VALUE_BYTES}"
    source = f"{index_table(database, bind)} WHERE startsWith(token, {bind(prefix)})"
    if values.days is not None:
        source += f" AND {_of_days(values.days, bind)}"
    if values.measure == "cardinality":
        return Statement(f"SELECT uniqExact(token) AS n, max({cut}) AS cut FROM {source}", bind.values)
    value = f"substring(token, {len(prefix.encode()) + 1})"
    selects = [f"SELECT {value} AS k0, sum(cardinality) AS n, {cut} AS cut FROM {source} GROUP BY token"]
    groups = Groups(values.edges, (ValueKey(values.field),))
    selects += [
        f"SELECT k0, n, 0 AS cut FROM ({piece_select(Filter(MatchAll()), groups, piece, None, bind)})"
        for piece in values.edges
    ]
    sql = (
        f"SELECT {shown_key(ValueKey(values.field), 'k0')} AS k0, sum(n) AS n, max(cut) AS cut"
        f" FROM ({' UNION ALL '.join(selects)})"
        f" GROUP BY k0 ORDER BY n DESC, k0 LIMIT {bind(values.top, 'UInt64')}"
    )
    return Statement(sql, bind.values)


def _of_days(days: TimeRange, bind: Binds) -> str:
    """Parts of the table are of one day each, whose date is the beginning of their names."""
    day = "toUInt32OrZero(substring(part_name, 1, 8))"
    return (
        f"{day} >= {bind(_date(days.from_ns), 'UInt32')} AND {day} < {bind(_date(days.until_ns), 'UInt32')}"
    )


def _date(ns: int) -> int:
    return int(datetime.fromtimestamp(min(ns, DAYS_END_NS) // SECOND_NS, UTC).strftime("%Y%m%d"))
