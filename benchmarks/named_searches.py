"""The searches that the benchmark runs, each under a name: what people ask of their logs, cheap and dear."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.stored_corpus import BEGIN_NS, DAY_NS, END_NS, Round
from query.iso import iso

HOUR_NS: Final = 3600 * 10**9
LAST_HOUR: Final = {"from": END_NS - HOUR_NS, "to": END_NS - 1}
LAST_DAY: Final = {"from": END_NS - DAY_NS, "to": END_NS - 1}
ODD_RANGE: Final = {"from": BEGIN_NS + 12_345_678_901_234, "to": END_NS - 98_765_432_109_876}
RANGES: Final[dict[str, dict[str, Any]]] = {"": {}, ", a day": LAST_DAY, ", an hour": LAST_HOUR}
BY_HOUR: Final = {"type": "histogram", "field": "timestamp", "interval": "1h"}
BY_MINUTE: Final = {**BY_HOUR, "interval": "1m"}
BY_LEVEL: Final = {"field": "level"}

# Typical ones are promised an answer within 500 ms; of the hard ones it is told how long they take.
Kind = Literal["typical", "hard", "other"]


@dataclass(frozen=True, slots=True)
class NamedSearch:
    """A request: the body of a POST to `path`, or the path of a GET."""

    name: str
    body: dict[str, Any] | None
    kind: Kind = "other"
    path: str = "/api/v1/search"


def named_searches(last: Round, page_50: str) -> list[NamedSearch]:
    """All; `last` is the last round of the corpus, `page_50` the cursor of that page of `timeout`."""
    return [*_typical(last, page_50), *_hard(), *_others(last), *_counts(last)]


def _search(kind: Kind, name: str, query: str, **body: Any) -> NamedSearch:
    """A page of 100 and its total, unless the body says otherwise."""
    return NamedSearch(name, {"query": query, **body}, kind)


def _counted(kind: Kind, name: str, query: str, aggregation: dict[str, Any], **body: Any) -> NamedSearch:
    """An aggregation alone."""
    return _search(kind, name, query, limit=0, count="none", aggregations={"a": aggregation}, **body)


def _exact(kind: Kind, name: str, query: str, **body: Any) -> NamedSearch:
    """An exact total alone."""
    return _search(kind, name, query, limit=0, count="exact", **body)


def _request_id(number: int) -> str:
    return f"request_id:{number:016x}"


def _typical(last: Round, page_50: str) -> Iterator[NamedSearch]:
    for suffix, range_ in RANGES.items():
        # Of a range: one of its last logs.
        number = last.last - 10 if range_ else _old_log(last)
        queries = {
            "word": "timeout",
            "two words": "database timeout",
            "level and service": "level:error service:checkout-api",
            "level, service and word": "level:error service:checkout-api timeout",
            "field=value": "status_code:503",
            "rare word": "73219",
            "request id": _request_id(number),
            "number above": "duration_ms:>8990",
            "wildcard in words": "message:*timeout*",
        }
        for name, query in queries.items():
            yield _search("typical", name + suffix, query, **range_)
        by_time = BY_MINUTE if range_ is LAST_HOUR else BY_HOUR
        groups: dict[str, dict[str, Any]] = {
            "by level": BY_LEVEL,
            "by service": {"field": "service"},
            "by time and level": {**by_time, "aggregations": {"level": BY_LEVEL}},
            "top values": {"field": "status_code"},
        }
        for name, aggregation in groups.items():
            yield _counted("typical", name + suffix, "*", aggregation, **range_)
    yield _search("typical", "page 50 by cursor", "timeout", cursor=page_50, count="none")


def _hard() -> Iterator[NamedSearch]:
    yield _exact("hard", "exact total, word and field", "timeout status_code:503")
    yield _exact("hard", "exact total, level, service and word", "level:error service:checkout-api timeout")
    yield _exact("hard", "exact total, word NOT service", "timeout NOT service:checkout-api")
    yield _exact("hard", "exact total of a word, odd range", "timeout", **ODD_RANGE)
    yield _exact("hard", "exact total of a word, a day", "timeout", **LAST_DAY)
    yield _exact("hard", "exact total of a phrase, a day", '"database timeout"', **LAST_DAY)
    yield _search("hard", "wildcard in numbers", "message:*7321*")
    yield _search("hard", "wildcard in ids", "request_id:*abc12*")
    yield _search("hard", "phrase", '"database timeout"')
    yield _search("hard", "number range, a day", "duration_ms:[1000 TO 2000]", **LAST_DAY)
    yield _search("hard", "number range", "duration_ms:[1000 TO 2000]")
    yield _search("hard", "field exists", "user_id:*")
    yield _counted("hard", "by hour of a word, a day", "timeout", BY_HOUR, **LAST_DAY)
    yield _counted("hard", "by hour of a word", "timeout", BY_HOUR)
    yield _counted("hard", "top values of a word, a day", "timeout", {"field": "status_code"}, **LAST_DAY)
    yield _counted("hard", "top values of a word", "timeout", {"field": "status_code"})
    yield _counted("hard", "statistics, a day", "*", {"type": "stats", "field": "duration_ms"}, **LAST_DAY)


def _others(last: Round) -> Iterator[NamedSearch]:
    number = _old_log(last)
    log_id = f"{last.at_ns(number):016x}-{number:016x}"
    yield _search("other", "everything", "*")
    yield _search("other", "level by rank", "level:>=warn")
    yield _search("other", "word and field=value", "timeout status_code:503")
    yield _search("other", "word OR word", "timeout OR refused")
    yield _search("other", "word NOT field", "timeout NOT service:checkout-api")
    yield _search("other", "wildcard in a field", "service:check*")
    yield _search("other", "regular expression, an hour", r"message:/retry \d{5}$/", **LAST_HOUR)
    yield _search("other", "network, an hour", "_source_ip:10.0.0.8/29", **LAST_HOUR)
    yield _search("other", "level and service, odd range", "level:error service:checkout-api", **ODD_RANGE)
    yield _search("other", "page at offset 5000", "timeout", offset=5000)
    yield _search("other", "oldest first", "timeout", order="asc")
    yield NamedSearch("log by id", None, path=f"/api/v1/logs/{log_id}")
    yield NamedSearch("context of a log", None, path=f"/api/v1/logs/{log_id}/context")
    yield NamedSearch("fields, an hour", None, path=f"/api/v1/fields?from={iso(END_NS - HOUR_NS)}")
    yield _counted("other", "by service of an error", "level:error", {"field": "service"})
    yield _counted("other", "by hour, odd range", "*", BY_HOUR, **ODD_RANGE)
    yield _counted("other", "by minute of a word, an hour", "timeout", BY_MINUTE, **LAST_HOUR)
    statistics = {"type": "stats", "field": "duration_ms"}
    yield _counted("other", "statistics, an hour", "*", statistics, **LAST_HOUR)


def _counts(last: Round) -> Iterator[NamedSearch]:
    """Counts alone, as the figures of other products are."""
    yield _exact("other", "count of a word", "timeout")
    yield _exact("other", "count of level and service", "level:error service:checkout-api")
    yield _exact("other", "count of level, service and word", "level:error service:checkout-api timeout")
    yield _exact("other", "count of a rare word", "73219")
    yield _exact("other", "count of a wildcard", "message:*imeou*")
    yield _exact("other", "count of a request id", _request_id(_old_log(last)))
    yield _exact("other", "count of numbers above", "duration_ms:>8990")
    yield _search("other", "newest page of a word", "timeout", count="none")
    yield _counted("other", "counts by hour", "*", BY_HOUR)


def _old_log(last: Round) -> int:
    return last.first + (last.last - last.first) * 7 // 10
