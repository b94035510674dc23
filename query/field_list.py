"""Which fields logs have: their types and counts, from the newest logs when there are too many for all."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import orjson

from query.ast import Node
from query.catalog import FIELDS, Field, Kind
from query.iso import iso
from query.known import Filter
from query.learning import table_facts
from query.plan.facts import TableFacts
from query.plan.nodes import Piece
from query.plan.slices import newest_range
from query.render_where import conditions
from query.search import Search, TimeRange
from query.session import Session
from query.statement import Binds, Statement

ROWS_MAX: Final = 500_000  # some 300 ms for logs of 10 fields
FIELDS_MAX: Final = 10_000

# The name of a pair as JSON text. Hardly any name has a quote within: only such pairs need the expression.
_NAME: Final = (
    r"""if(position(pair, '\\":') = 0, substring(pair, 1, position(pair, '":')),"""
    r""" extract(pair, '^("(?:[^"\\\\]|\\\\.)*"):'))"""
)
# A JSON text's first sign tells its type; everything else is a number.
_TYPES: Final = {'"': "string", "[": "array", "{": "object", "t": "boolean", "f": "boolean", "n": "null"}
_OWN_TYPES: Final = {Kind.TIME: "time", Kind.LEVEL: "level", Kind.MESSAGE: "string", Kind.KEYWORD: "string"}


async def list_fields(session: Session, search: Search) -> dict[str, Any]:
    """The fields of the logs that match: `{"fields": [{"name": …, "count": …, "types": {"number": 12}}, …]}`.

    `complete` is false when only the newest logs, from `from` on, were looked at. Raises SearchTimeout.
    """
    facts = await table_facts(session)
    range_ = listed_range(search.range, facts)
    found = await session.run("fields", "table", fields_statement(search.query, range_))
    shown = range_.intersection(facts.span)
    return {
        "fields": described(found),
        "complete": range_ == search.range,
        "from": iso(shown.from_ns),
        "to": iso(shown.until_ns),
    }


def listed_range(range_: TimeRange, facts: TableFacts) -> TimeRange:
    """The range that is looked at: all of it, or its newest part with about ROWS_MAX logs."""
    return range_ if facts.rows_in(range_) <= ROWS_MAX else newest_range(range_, facts, ROWS_MAX)


def fields_statement(query: Node, range_: TimeRange) -> Statement:
    """Name, first sign of the value, and logs; the fields with columns of their own have no sign."""
    bind = Binds()
    where = " AND ".join(conditions(Filter(query), Piece("table", range_), bind)) or "true"
    own = ", ".join(
        f"({bind(field.name)}, '', {_own_count(field)})"
        for field in FIELDS.values()
        if field.kind in _OWN_TYPES
    )
    pairs = "SELECT arrayJoin(splitByChar('\\x1f', concat(fields, long_fields))) AS pair"
    owns = f"SELECT arrayJoin([{own}]) AS own FROM logs WHERE {where}"
    sql = (
        f"SELECT {_NAME} AS name, substring(pair, length(name) + 2, 1) AS sign, count() AS logs"
        f" FROM ({pairs} FROM logs WHERE {where}) WHERE pair != ''"
        f" GROUP BY name, sign ORDER BY logs DESC, name LIMIT {FIELDS_MAX}"
        f" UNION ALL SELECT own.1, own.2, own.3 FROM ({owns})"
    )
    return Statement(sql, bind.values)


def described(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Each field with its types, most frequent first."""
    types: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for written, sign, count in rows:
        name = orjson.loads(written) if sign else written
        kind = _TYPES.get(sign, "number") if sign else _OWN_TYPES[FIELDS[name].kind]
        types[name][kind] += int(count)
    counts = {name: sum(each.values()) for name, each in types.items()}
    names = sorted(filter(counts.get, counts), key=lambda name: (-counts[name], name))
    return [{"name": name, "count": counts[name], "types": types[name]} for name in names]


def _own_count(field: Field) -> str:
    return f"countIf({field.column} != '')" if field.kind is Kind.KEYWORD else "count()"
