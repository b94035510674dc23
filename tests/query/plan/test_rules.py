"""Each rule of the planner: what goes in, and the plan that comes out."""

import itertools
from datetime import UTC
from typing import Any

import pytest

from core.errors import InvalidSearch
from query.aggregation_request import AggregationRequest, HistogramRequest, StatsRequest, TermsRequest
from query.intervals import bucket_edges, parse_interval
from query.parser import parse
from query.plan.facts import Part, TableFacts
from query.plan.histogram import histogram
from query.plan.nodes import (
    HOUR_NS,
    MINUTE_NS,
    DictionaryValues,
    Groups,
    IndexValues,
    NumberKey,
    Piece,
    TimeKey,
    Total,
    TotalKnown,
    TotalOfPage,
    Traits,
    ValueKey,
)
from query.plan.pieces import HOURS_ROWS_MIN, count_pieces
from query.plan.rules import plan_search, rollup_aggregations
from query.plan.slices import FETCH_ALL, SLICES_MAX, count_slices, newest_range, page_slices
from query.plan.top_values import top_values
from query.plan.total import SCAN_ROWS_ALWAYS, total_of
from query.plan.traits import traits_of
from query.search import ALWAYS, Order, Position, Search, TimeRange
from query.times import UNIT_NS

DAY = UNIT_NS["d"]
T0 = 19_000 * DAY
TEN_DAYS = TimeRange(T0, T0 + 10 * DAY)
PARTS = tuple(Part(T0 + day * DAY, T0 + (day + 1) * DAY - 1, 2_000_000) for day in range(10))
ALL, SCAN = Traits(True, True, True), Traits(False, False, False)
ROLLUP, INDEX = Traits(False, False, True), Traits(False, True, False)


def facts(matching: int | None = None, parts: tuple[Part, ...] = PARTS) -> TableFacts:
    return TableFacts(parts, matching)


def search(query: str = "*", **options: Any) -> Search:
    return Search(parse(query), **options)


@pytest.mark.parametrize(
    ("query", "traits"),
    [
        ("*", Traits(True, True, True)),
        ("level:error", Traits(False, True, True)),
        ("level:error NOT service:a*", Traits(False, True, True)),
        ("level:error timeout", Traits(False, True, False)),
        ("timestamp:2024-01-15", Traits(False, True, False)),
        ("status:5", Traits(False, True, False)),
    ],
)
def test_traits_tell_who_can_answer(query: str, traits: Traits) -> None:
    assert traits_of(parse(query), by_index=True) == traits


MINUTE_RANGE = TimeRange(T0, T0 + 60 * MINUTE_NS)
ODD_RANGE = TimeRange(T0 + 5, T0 + 3 * MINUTE_NS + 7)
SHORT_RANGE = TimeRange(T0 + 5, T0 + MINUTE_NS + 7)


@pytest.mark.parametrize(
    ("range_", "traits", "keys", "pieces"),
    [
        (MINUTE_RANGE, ROLLUP, (), [Piece("rollup", MINUTE_RANGE)]),
        (MINUTE_RANGE, SCAN, (), [Piece("table", MINUTE_RANGE)]),
        (
            ODD_RANGE,
            ROLLUP,
            (),
            [
                Piece("rollup", TimeRange(T0 + MINUTE_NS, T0 + 3 * MINUTE_NS)),
                Piece("table", TimeRange(T0 + 5, T0 + MINUTE_NS)),
                Piece("table", TimeRange(T0 + 3 * MINUTE_NS, T0 + 3 * MINUTE_NS + 7)),
            ],
        ),
        (SHORT_RANGE, ROLLUP, (), [Piece("table", SHORT_RANGE)]),
        (MINUTE_RANGE, ALL, (ValueKey("level"),), [Piece("rollup", MINUTE_RANGE)]),
        (MINUTE_RANGE, ALL, (ValueKey("status"),), [Piece("table", MINUTE_RANGE)]),
        (
            MINUTE_RANGE,
            ALL,
            (TimeKey((T0, T0 + MINUTE_NS)),),
            [Piece("rollup", TimeRange(T0, T0 + MINUTE_NS))],
        ),
        (MINUTE_RANGE, ALL, (TimeKey((T0, T0 + 5)),), [Piece("table", TimeRange(T0, T0 + 5))]),
        (TEN_DAYS, ALL, (), [Piece("hourly rollup", TEN_DAYS)]),
        (
            TEN_DAYS,
            ALL,
            (TimeKey((T0, T0 + MINUTE_NS, T0 + DAY)),),
            [Piece("rollup", TimeRange(T0, T0 + DAY))],
        ),
        (
            TimeRange(T0 + 5, T0 + DAY + 2 * MINUTE_NS),
            ROLLUP,
            (),
            [
                Piece("hourly rollup", TimeRange(T0 + HOUR_NS, T0 + DAY)),
                Piece("rollup", TimeRange(T0 + MINUTE_NS, T0 + HOUR_NS)),
                Piece("table", TimeRange(T0 + 5, T0 + MINUTE_NS)),
                Piece("rollup", TimeRange(T0 + DAY, T0 + DAY + 2 * MINUTE_NS)),
            ],
        ),
    ],
)
def test_counts_come_from_the_rollup_where_it_knows_them(
    range_: TimeRange, traits: Traits, keys: tuple[Any, ...], pieces: list[Piece]
) -> None:
    assert list(count_pieces(range_, traits, facts(), keys)) == pieces


DAY_RANGE = TimeRange(T0 + 5, T0 + 30 * HOUR_NS - 7)
BY_HOUR = TimeKey((T0, T0 + HOUR_NS, T0 + 2 * HOUR_NS))


@pytest.mark.parametrize(
    ("rows", "keys", "pieces"),
    [
        (
            HOURS_ROWS_MIN * 10,
            (),
            [
                Piece("table", TimeRange(T0 + HOUR_NS, T0 + 29 * HOUR_NS)),
                Piece("table", TimeRange(T0 + 5, T0 + HOUR_NS)),
                Piece("table", TimeRange(T0 + 29 * HOUR_NS, T0 + 30 * HOUR_NS - 7)),
            ],
        ),
        (HOURS_ROWS_MIN // 10, (), [Piece("table", DAY_RANGE)]),
        (
            HOURS_ROWS_MIN * 100,
            (BY_HOUR,),
            [
                Piece("table", TimeRange(T0 + HOUR_NS, T0 + 2 * HOUR_NS)),
                Piece("table", TimeRange(T0 + 5, T0 + HOUR_NS)),
            ],
        ),
        (HOURS_ROWS_MIN * 10, (TimeKey((T0, T0 + 40 * HOUR_NS + 1)),), [Piece("table", DAY_RANGE)]),
    ],
    ids=["many rows", "few rows", "by the hour", "by other times"],
)
def test_many_rows_are_counted_by_whole_hours_and_the_edges_apart(
    rows: int, keys: tuple[Any, ...], pieces: list[Piece]
) -> None:
    known = facts(parts=(Part(T0, T0 + 2 * DAY, rows),))
    assert list(count_pieces(DAY_RANGE, INDEX, known, keys)) == pieces


def test_slices_join_without_gap_and_the_last_one_is_the_rest() -> None:
    for order in ("desc", "asc"):
        slices = page_slices(search(order=order, range=TEN_DAYS), facts())
        newest_first = slices if order == "desc" else slices[::-1]
        assert newest_first[0].until_ns == TEN_DAYS.until_ns
        assert newest_first[-1].from_ns == TEN_DAYS.from_ns
        for newer, older in itertools.pairwise(newest_first):
            assert older.until_ns == newer.from_ns
        assert 1 < len(slices) <= SLICES_MAX
        lengths = [each.until_ns - each.from_ns for each in slices]
        assert lengths == sorted(lengths)


@pytest.mark.parametrize(
    ("options", "matching", "count"),
    [
        ({"limit": 0}, None, 0),
        ({}, FETCH_ALL, 1),
        ({"limit": 5000}, 4999, 1),
        ({"range": TimeRange(T0, T0)}, None, 0),
        ({"range": TimeRange(T0, T0 + MINUTE_NS)}, None, 1),
    ],
)
def test_a_page_is_cut_only_where_that_reads_less(
    options: dict[str, Any], matching: int | None, count: int
) -> None:
    assert len(page_slices(search(**options), facts(matching))) == count


def test_the_more_match_the_smaller_is_the_first_slice() -> None:
    sizes = []
    for matching in (10_000, 1_000_000, 20_000_000):
        first = page_slices(search(range=TEN_DAYS), facts(matching))[0]
        sizes.append(first.until_ns - first.from_ns)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_an_open_end_makes_no_slice_longer(order: Order) -> None:
    busy = facts(parts=(Part(T0, T0 + DAY, 8_640_000_000),))  # 100,000 a second
    first = page_slices(search(order=order), busy)[0].intersection(busy.span)
    assert 0 < first.until_ns - first.from_ns < 3 * 10**9


def test_a_cursor_leaves_what_is_behind_it() -> None:
    at = Position(T0 + 5 * DAY, 7)
    assert page_slices(search(after=at), facts())[0].until_ns == at.timestamp_ns + 1
    assert page_slices(search(after=at, order="asc"), facts())[0].from_ns == at.timestamp_ns


def test_a_time_without_logs_costs_nothing() -> None:
    old = (Part(T0, T0 + DAY, 1_000_000), Part(T0 + 5000 * DAY, T0 + 5001 * DAY, 50))
    slices = page_slices(search(), facts(parts=old))
    assert slices[0].until_ns == ALWAYS.until_ns
    assert slices[0].from_ns < T0 + DAY


def test_the_newest_part_of_a_range_holds_about_so_many_rows() -> None:
    newest = newest_range(TEN_DAYS, facts(), 1_000_000)
    assert 0.9 < facts().rows_in(newest) / 1_000_000 < 1.1
    assert newest.until_ns == TEN_DAYS.until_ns


COUNTED = Total(Groups((Piece("table", ALWAYS),)))
BOUNDED = Total(COUNTED.groups, 0.3, count_slices(ALWAYS, facts(), by_index=False))


@pytest.mark.parametrize(
    ("options", "traits", "matching", "total"),
    [
        ({"count": "none"}, SCAN, None, None),
        ({}, INDEX, 12, TotalKnown(12)),
        ({"range": TEN_DAYS}, INDEX, 12, TotalKnown(12)),
        ({"range": MINUTE_RANGE}, INDEX, 0, TotalKnown(0)),
        ({}, ROLLUP, None, Total(Groups((Piece("hourly rollup", ALWAYS),)))),
        ({}, SCAN, None, BOUNDED),
        ({"count": "exact"}, SCAN, None, COUNTED),
        ({"range": MINUTE_RANGE}, SCAN, None, Total(Groups((Piece("table", MINUTE_RANGE),)))),
        ({"range": MINUTE_RANGE}, INDEX, 12, TotalOfPage(Total(Groups((Piece("table", MINUTE_RANGE),))))),
        ({"range": MINUTE_RANGE, "offset": 1}, INDEX, 12, Total(Groups((Piece("table", MINUTE_RANGE),)))),
    ],
)
def test_totals_come_from_the_cheapest_exact_source(
    options: dict[str, Any], traits: Traits, matching: int | None, total: Any
) -> None:
    assert total_of(search(**options), traits, facts(matching), 0.3) == total


def test_a_scan_of_few_rows_needs_no_budget() -> None:
    few = facts(parts=(Part(T0, T0 + DAY, SCAN_ROWS_ALWAYS),))
    assert total_of(search(), SCAN, few, 0.3) == COUNTED


def test_an_open_end_makes_the_newest_part_of_a_range_no_larger() -> None:
    newest = newest_range(TimeRange(from_ns=T0), facts(), 10_000)
    assert newest.until_ns == TimeRange().until_ns
    assert 0.9 < facts().rows_in(newest) / 10_000 < 1.2


def test_what_the_index_decides_is_counted_in_few_large_slices() -> None:
    scanned = count_slices(TEN_DAYS, facts(), by_index=False)
    by_index = count_slices(TEN_DAYS, facts(), by_index=True)
    assert len(by_index) < len(scanned)
    assert by_index[0] == scanned[0]
    for slices in (scanned, by_index):
        assert [slices[0].until_ns, slices[-1].from_ns] == [TEN_DAYS.until_ns, TEN_DAYS.from_ns]
        assert all(newer.from_ns == older.until_ns for newer, older in itertools.pairwise(slices))


TOP = Groups((Piece("table", ALWAYS),), (ValueKey("status"),), top=10)


@pytest.mark.parametrize(
    ("field", "range_", "traits", "expected"),
    [
        ("status", ALWAYS, ALL, DictionaryValues("status", "count", 10, None, TOP)),
        ("status", TEN_DAYS, ALL, DictionaryValues),
        ("status", MINUTE_RANGE, ALL, Groups),
        ("status", ALWAYS, INDEX, IndexValues("status", 10, TOP)),
        ("status", ALWAYS, SCAN, TOP),
        ("level", ALWAYS, ALL, Groups((Piece("hourly rollup", ALWAYS),), (ValueKey("level"),), top=10)),
        ("level", ALWAYS, INDEX, IndexValues),
        ("message", ALWAYS, INDEX, Groups),
        ("_source_ip", ALWAYS, INDEX, Groups),
    ],
)
def test_top_values_come_from_rollup_dictionary_index_or_table(
    field: str, range_: TimeRange, traits: Traits, expected: Any
) -> None:
    found = top_values(TermsRequest(field=field), range_, traits, facts(5))
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected


def test_without_a_dictionary_the_table_answers() -> None:
    distributed = TableFacts(PARTS, 5, dictionary=False)
    assert top_values(TermsRequest(field="status"), ALWAYS, ALL, distributed) == TOP


def test_a_histogram_of_hours_comes_from_the_rollup() -> None:
    request = HistogramRequest(type="histogram", interval="1h")
    edges = bucket_edges(TEN_DAYS.from_ns, TEN_DAYS.until_ns, parse_interval("1h"), UTC)
    assert histogram(request, TEN_DAYS, ALL, facts()) == Groups(
        (Piece("hourly rollup", TEN_DAYS),), (TimeKey(edges),)
    )


def test_a_histogram_of_numbers_groups_by_width() -> None:
    request = HistogramRequest(type="histogram", field="duration_ms", interval=100)
    assert histogram(request, TEN_DAYS, ALL, facts()).keys == (NumberKey("duration_ms", 100),)


@pytest.mark.parametrize(
    "request_",
    [
        HistogramRequest(type="histogram", field="level", interval="1h"),
        HistogramRequest(type="histogram", field="status", interval="1h"),
        HistogramRequest(type="histogram", interval=5),
        HistogramRequest(type="histogram", interval="1ms"),
        StatsRequest(type="stats", field="level"),
        TermsRequest(field="timestamp"),
        TermsRequest(field="_id"),
    ],
    ids=lambda request_: f"{request_.type} of {request_.field}",
)
def test_an_aggregation_that_does_not_fit_its_field_is_refused_by_name(request_: Any) -> None:
    with pytest.raises(InvalidSearch) as raised:
        plan_search(search(aggregations=(("mine", request_),)), ALL, facts(), 0.3)
    assert list(raised.value.problems) == ["aggregations.mine"]


def test_nothing_that_matches_is_no_page() -> None:
    assert plan_search(search(), INDEX, facts(0), 0.3).page is None


BY_LEVEL, BY_HOUR = TermsRequest(field="level"), HistogramRequest(type="histogram", interval="1h")


@pytest.mark.parametrize(
    ("query", "range_", "aggregation", "alone"),
    [
        ("*", ALWAYS, BY_LEVEL, True),
        ("level:error NOT service:a*", TEN_DAYS, BY_LEVEL, True),
        ("timeout", ALWAYS, BY_LEVEL, False),
        ("*", ALWAYS, TermsRequest(field="status"), False),
        ("*", TEN_DAYS, BY_HOUR, True),
        ("*", TimeRange(from_ns=T0), BY_HOUR, False),
        ("*", ALWAYS, TermsRequest(field="level", aggregations={"hours": BY_HOUR}), False),
        ("*", TEN_DAYS, TermsRequest(field="level", aggregations={"hours": BY_HOUR}), True),
        (
            "*",
            TEN_DAYS,
            TermsRequest(field="level", aggregations={"status": TermsRequest(field="status")}),
            False,
        ),
        ("*", TEN_DAYS, HistogramRequest(type="histogram", interval="1s"), False),
        ("*", ALWAYS, StatsRequest(type="stats", field="duration"), False),
        ("*", TimeRange(T0 + 5, T0 + 7), BY_LEVEL, False),
    ],
)
def test_counts_of_the_rollups_need_no_facts_of_the_table(
    query: str, range_: TimeRange, aggregation: AggregationRequest, alone: bool
) -> None:
    asked = search(query, range=range_, aggregations=(("a", aggregation),))
    found = rollup_aggregations(asked)
    assert (found is not None) == alone
    if found is not None:
        whole = plan_search(asked, traits_of(asked.query, by_index=True), facts(1), 1.0)
        assert found == whole.aggregations
