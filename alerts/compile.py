"""A rule's query → its statements: the query language's own compiler, around it what is counted over a
window.

Done once for each version of a rule, by a process that has the parser; the rule's own process only runs them.
"""

from collections.abc import Sequence
from typing import Final

from alerts.rule import Rule
from alerts.statements import GROUPS_MAX, RuleStatements
from query.ast import And, Node, conjunction
from query.catalog import Kind, field_named
from query.known import Filter
from query.parser import parse
from query.plan.nodes import HOUR_NS, Piece, ValueKey
from query.render_groups import key_filter, key_value, shown_key
from query.render_where import conditions
from query.search import ALWAYS
from query.statement import Binds

NEW_VALUES_SHOWN: Final = 10
TIME_COLUMNS: Final = {"ingest": "ingested_at", "event": "timestamp"}
_SAMPLE_COLUMNS: Final = (
    "toUnixTimestamp64Nano(timestamp) AS timestamp_ns, formatDateTime(timestamp, '%FT%TZ') AS time,"
    " seq, level, service, message, concat(fields, long_fields) AS fields"
)


def compile_rule(rule: Rule) -> RuleStatements:
    """The statements of a rule. Raises QuerySyntaxError."""
    compiler = _Compiler(rule)
    count = compiler.new_values() if rule.condition.kind == "new_value" else compiler.counts()
    return RuleStatements(count, compiler.samples(), compiler.bind.values)


class _Compiler:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._query = parse(rule.query)
        self._time = TIME_COLUMNS[rule.time]
        self.bind = Binds()

    def counts(self) -> str:
        """Rows of g, n and total: one statement, whatever the condition and the groups."""
        condition = self._rule.condition
        pieces = [self._counted(self._query, "count() AS n, count() AS total")]
        if condition.kind == "percentage":
            whole = parse(condition.of) if condition.of is not None else parse("*")
            # Two counts rather than one with countIf: each can use the text index.
            both = conjunction(_operands(self._query, whole))
            pieces = [
                self._counted(both, "count() AS n, 0 AS total"),
                self._counted(whole, "0 AS n, count() AS total"),
            ]
        inner = " UNION ALL ".join(pieces)
        return (
            f"SELECT {self._shown('k')} AS g, sum(n) AS n, sum(total) AS total, emptyArrayString() AS v"
            f" FROM ({inner}) GROUP BY g HAVING total > 0 OR n > 0 ORDER BY n DESC, g LIMIT {GROUPS_MAX + 1}"
        )

    def new_values(self) -> str:
        """Rows of g, n (values of the window that the look-back does not have), total and v, the first of
        them.
        """
        condition = self._rule.condition
        assert condition.field is not None
        key = ValueKey(condition.field)
        value = key_value(key, "table", self.bind)
        fresh = f"{self._time} >= {_time_ns('from_ns')}"
        where = [
            *self._window(self._query, "look_back_ns"),
            *key_filter(key, value),
            *self._group_filter(),
        ]
        inner = (
            f"SELECT {self._group()} AS k, {value} AS value, countIf({fresh}) AS here, count() AS everywhere"
            f" FROM logs WHERE {' AND '.join(where)} GROUP BY k, value HAVING here > 0"
        )
        is_new = "here = everywhere"
        return (
            f"SELECT {self._shown('k')} AS g, countIf({is_new}) AS n, sum(here) AS total,"
            f" groupArrayIf({NEW_VALUES_SHOWN})({shown_key(key, 'value')}, {is_new}) AS v"
            f" FROM ({inner}) GROUP BY g ORDER BY n DESC, g LIMIT {GROUPS_MAX + 1}"
        )

    def samples(self) -> str:
        """The newest logs of one group in a window."""
        where = [*self._window(self._query), *self._group_filter()]
        if self._rule.group_by is not None:
            where.append(f"{self._shown(self._group())} = {{group:String}}")
        return (
            f"SELECT {_SAMPLE_COLUMNS} FROM logs WHERE {' AND '.join(where)}"
            " ORDER BY timestamp DESC, seq DESC LIMIT {limit:UInt64}"
        )

    def _counted(self, query: Node, columns: str) -> str:
        where = [*self._window(query), *self._group_filter()]
        return f"SELECT {self._group()} AS k, {columns} FROM logs WHERE {' AND '.join(where)} GROUP BY k"

    def _window(self, query: Node, since: str = "from_ns") -> list[str]:
        begin, end = _time_ns(since), _time_ns("until_ns")
        where = [
            *conditions(Filter(query), Piece("table", ALWAYS), self.bind),
            f"{self._time} >= {begin}",
            f"{self._time} < {end}",
        ]
        if self._rule.time == "event":
            # ClickHouse does not see by itself that the sort key, which begins with the hour, is bounded too.
            where.append(f"hour >= {_hour(since)}")
            where.append(f"hour <= {_hour('until_ns')}")
        return where

    def _group(self) -> str:
        if self._rule.group_by is None:
            return "''"
        return key_value(ValueKey(self._rule.group_by), "table", self.bind)

    def _group_filter(self) -> list[str]:
        if self._rule.group_by is None:
            return []
        return key_filter(ValueKey(self._rule.group_by), self._group())

    def _shown(self, value: str) -> str:
        return value if self._rule.group_by is None else shown_key(ValueKey(self._rule.group_by), value)


def groupable(field: str) -> bool:
    """Whether logs can be told apart by the values of this field."""
    return field_named(field).kind in (Kind.LEVEL, Kind.KEYWORD, Kind.JSON)


def _operands(*queries: Node) -> Sequence[Node]:
    return [
        operand for query in queries for operand in (query.operands if isinstance(query, And) else (query,))
    ]


def _hour(name: str) -> str:
    return f"intDiv({{{name}:Int64}}, {HOUR_NS})"


def _time_ns(name: str) -> str:
    return f"fromUnixTimestamp64Nano({{{name}:Int64}}, 'UTC')"
