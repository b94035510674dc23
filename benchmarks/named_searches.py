"""The searches that the benchmark runs, each under a name: what people ask of their logs, cheap and dear."""

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.stored_corpus import BEGIN_NS, DAY_NS, END_NS
from query.iso import iso

HOUR_NS: Final = 3600 * 10**9
LAST_HOUR: Final = {"from": END_NS - HOUR_NS, "to": END_NS - 1}
LAST_DAY: Final = {"from": END_NS - DAY_NS, "to": END_NS - 1}
ODD_RANGE: Final = {"from": BEGIN_NS + 12_345_678_901_234, "to": END_NS - 98_765_432_109_876}
BY_HOUR: Final = {"type": "histogram", "field": "timestamp", "interval": "1h"}


@dataclass(frozen=True, slots=True)
class NamedSearch:
    """A request: the body of a POST to `path`, or the path of a GET."""

    name: str
    body: dict[str, Any] | None
    path: str = "/api/v1/search"


def search(name: str, query: str, **body: Any) -> NamedSearch:
    """A page of 100 and its total, unless the body says otherwise."""
    return NamedSearch(name, {"query": query, **body})


def counted(name: str, query: str, aggregation: dict[str, Any], **body: Any) -> NamedSearch:
    """An aggregation alone."""
    return search(name, query, limit=0, count="none", aggregations={"a": aggregation}, **body)


def named_searches(rows: int, page_50: str) -> list[NamedSearch]:
    """All of them; `page_50` is the cursor of that page of `timeout`."""
    number = rows * 7 // 10
    at_ns = BEGIN_NS + DAY_NS * 10 * number // rows
    request_id = f"{number:016x}"
    return [
        search("everything", "*"),
        search("word", "timeout"),
        search("two words", "database timeout"),
        search("phrase", '"database timeout"'),
        search("rare word", "73219"),
        search("level and service", "level:error service:checkout-api"),
        search("level, service and word", "level:error service:checkout-api timeout"),
        search("level by rank", "level:>=warn"),
        search("field=value", "status_code:503"),
        search("word and field=value", "timeout status_code:503"),
        search("word OR word", "timeout OR refused"),
        search("word NOT field", "timeout NOT service:checkout-api"),
        search("request id", f"request_id:{request_id}"),
        search("number above", "duration_ms:>8990"),
        search("number range in a day", "duration_ms:[1000 TO 2000]", **LAST_DAY),
        search("field exists", "user_id:*"),
        search("wildcard in words", "message:*imeou*"),
        search("wildcard in a field", "service:check*"),
        search("regular expression, an hour", r"message:/retry \d{5}$/", **LAST_HOUR),
        search("network", "_source_ip:10.0.0.8/29", **LAST_HOUR),
        search("word, last hour", "timeout", **LAST_HOUR),
        search("word, last day", "timeout", **LAST_DAY),
        search("level and service, last day", "level:error service:checkout-api", **LAST_DAY),
        search("level and service, odd range", "level:error service:checkout-api", **ODD_RANGE),
        search("page 50 by cursor", "timeout", cursor=page_50, count="none"),
        search("page at offset 5000", "timeout", offset=5000),
        search("oldest first", "timeout", order="asc"),
        NamedSearch("log by id", None, f"/api/v1/logs/{at_ns:016x}-{number:016x}"),
        NamedSearch("context of a log", None, f"/api/v1/logs/{at_ns:016x}-{number:016x}/context"),
        NamedSearch("fields, last hour", None, f"/api/v1/fields?from={iso(END_NS - HOUR_NS)}"),
        counted("by level", "*", {"field": "level"}),
        counted("by service, level and service", "level:error", {"field": "service"}),
        counted("by hour and level", "*", {**BY_HOUR, "aggregations": {"level": {"field": "level"}}}),
        counted("by hour, odd range", "*", BY_HOUR, **ODD_RANGE),
        counted("top values", "*", {"field": "status_code"}),
        counted("top values, an hour", "*", {"field": "host"}, **LAST_HOUR),
        counted("by minute of a word, an hour", "timeout", {**BY_HOUR, "interval": "1m"}, **LAST_HOUR),
        counted("statistics, an hour", "*", {"type": "stats", "field": "duration_ms"}, **LAST_HOUR),
        search("exact total of a word in a day", "timeout", limit=0, count="exact", **LAST_DAY),
        search("exact total, word and field", "timeout status_code:503", limit=0, count="exact"),
        counted("by hour of a word, a day", "timeout", BY_HOUR, **LAST_DAY),
        counted("by hour of a word, all", "timeout", BY_HOUR),
        counted("top values of a word, all", "timeout", {"field": "status_code"}),
        search("exact total, number above", "duration_ms:>8990", limit=0, count="exact"),
    ]
