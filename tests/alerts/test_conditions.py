"""Each kind of condition on real logs, and what a value means for it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from alerts.clickhouse_http import ClickHouseHttp
from alerts.condition import level_kept, level_reached
from alerts.evaluation import Evaluation
from alerts.rule import SECOND_NS, Rule, Threshold
from alerts.schedule import Window
from alerts.statements import evaluate, sample_logs
from core.errors import StorageUnavailable
from core.limits import QUERY_TERMS_MAX
from storage.clickhouse import ClickHouse
from storage.migrations import migrate
from tests.alerts.making import BEGIN_NS, MINUTE_NS, make_order, make_rule, put_logs
from tests.conftest import EmbeddedProcess

WINDOW = Window(BEGIN_NS, BEGIN_NS + MINUTE_NS)
MANY_NETWORKS = [f"f{number}:10.0.{number}.0/24" for number in range(QUERY_TERMS_MAX - 1)]
INSIDE, BEFORE, AFTER = BEGIN_NS + SECOND_NS, BEGIN_NS - SECOND_NS, BEGIN_NS + MINUTE_NS


@pytest.fixture(scope="module")
def logs(embedded_process: EmbeddedProcess) -> Iterator[ClickHouseHttp]:
    """Six errors of two hosts and four infos in the window, and some outside of it; only to be read."""
    url = urlsplit(embedded_process.url.get_secret_value())._replace(path="/test_alert_conditions").geturl()
    clickhouse = ClickHouse(SecretStr(url))
    migrate(clickhouse)
    inside = [{"at_ns": INSIDE + i, "host": "a" if i < 4 else "b", "user": i % 3} for i in range(6)]
    infos = [{"at_ns": INSIDE + 10 + i, "level": "info", "host": "a", "user": 9} for i in range(4)]
    edges = [{"at_ns": WINDOW.from_ns, "level": "warn"}, {"at_ns": AFTER, "level": "error", "host": "a"}]
    old = [{"at_ns": BEFORE, "host": "a", "user": 0}, {"at_ns": BEFORE - 3600 * SECOND_NS, "user": 1}]
    put_logs(clickhouse, [*inside, *infos, *edges, *old])
    store = ClickHouseHttp(url)
    yield store
    store.close()
    clickhouse.command("DROP DATABASE test_alert_conditions SYNC", use_database=False)
    clickhouse.close()


def look(rule: Rule, alert_store: ClickHouseHttp, window: Window = WINDOW) -> Evaluation:
    return evaluate(alert_store, rule, make_order(rule).statements, window, 10.0)


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        pytest.param({"kind": "count"}, {"": 6}, id="count"),
        pytest.param(
            {"kind": "count", "query": "*"}, {"": 11}, id="count all: the beginning counts, the end not"
        ),
        pytest.param(
            {"kind": "count", "query": "failed AND host:b"}, {"": 2}, id="count by words and a field"
        ),
        pytest.param({"kind": "count", "query": "nothing"}, {"": 0}, id="count nothing"),
        pytest.param(
            {"kind": "count", "query": " OR ".join([*MANY_NETWORKS, "host:b"])},
            {"": 2},
            id="count by many terms",
        ),
        pytest.param({"kind": "count", "group_by": "host"}, {"a": 4, "b": 2}, id="count by group"),
        pytest.param(
            {"kind": "count", "query": "*", "group_by": "level"},
            {"error": 6, "info": 4, "warn": 1},
            id="by level",
        ),
        pytest.param({"kind": "rate"}, {"": 0.1}, id="rate a second"),
        pytest.param({"kind": "rate", "condition": {"per_ns": MINUTE_NS}}, {"": 6}, id="rate a minute"),
        pytest.param({"kind": "percentage"}, {"": pytest.approx(600 / 11)}, id="percentage of all"),
        pytest.param(
            {"kind": "percentage", "condition": {"of": "level:(error OR info)"}},
            {"": 60},
            id="percentage of a query",
        ),
        pytest.param(
            {"kind": "percentage", "condition": {"of": "nothing"}}, {"": None}, id="percentage of nothing"
        ),
        pytest.param(
            {"kind": "percentage", "group_by": "host"}, {"a": 50, "b": 100}, id="percentage by group"
        ),
        pytest.param(
            {"kind": "new_value", "condition": {"field": "user", "look_back_ns": MINUTE_NS}},
            {"": 2},
            id="new values",
        ),
        pytest.param(
            {"kind": "new_value", "condition": {"field": "user", "look_back_ns": 7200 * SECOND_NS}},
            {"": 1},
            id="new values, with a longer memory",
        ),
        pytest.param(
            {
                "kind": "new_value",
                "group_by": "host",
                "condition": {"field": "user", "look_back_ns": MINUTE_NS},
            },
            {"a": 2, "b": 2},
            id="new values by group",
        ),
    ],
)
def test_a_condition_measures_its_window(
    logs: ClickHouseHttp, fields: dict[str, Any], values: dict[str, Any]
) -> None:
    found = look(make_rule(**fields), logs)
    assert found.error is None
    assert {name: reading.value for name, reading in found.groups.items()} == values


def test_new_values_are_named(logs: ClickHouseHttp) -> None:
    rule = make_rule(kind="new_value", condition={"field": "user", "look_back_ns": 7200 * SECOND_NS})
    assert look(rule, logs).groups[""].new_values == ("2",)


def test_a_window_without_a_log_is_empty_and_one_without_a_match_of_a_percentage_is_not(
    logs: ClickHouseHttp,
) -> None:
    far = Window(BEGIN_NS - 10 * MINUTE_NS, BEGIN_NS - 9 * MINUTE_NS)
    assert look(make_rule(), logs, far).groups[""].empty
    assert not look(make_rule(kind="percentage", query="nothing"), logs).groups[""].empty


def test_by_the_time_of_ingestion_a_late_log_counts_once_and_by_its_own_time_where_it_belongs(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp
) -> None:
    # It happened in the first minute and came in the second.
    put_logs(clickhouse, [{"at_ns": INSIDE, "ingested_ns": INSIDE + MINUTE_NS}])
    second = Window(WINDOW.until_ns, WINDOW.until_ns + MINUTE_NS)
    counts = {
        basis: [
            look(make_rule(time=basis), alert_store, window).groups[""].value for window in (WINDOW, second)
        ]
        for basis in ("ingest", "event")
    }
    assert counts == {"ingest": [0, 1], "event": [1, 0]}


def test_samples_are_the_newest_logs_of_the_group_as_they_were_sent(
    logs: ClickHouseHttp,
) -> None:
    rule = make_rule(group_by="host", sample_logs=1)
    samples = sample_logs(logs, rule, make_order(rule).statements, WINDOW, "b", 10.0)
    assert [(log["host"], log["user"], log["level"], log["message"]) for log in samples] == [
        ("b", 2, "error", "it failed")
    ]
    assert samples[0]["timestamp"].endswith("Z")


def test_a_query_that_fails_is_an_evaluation_with_its_reason(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp
) -> None:
    clickhouse.command("DROP TABLE logs SYNC")
    assert "logs" in str(look(make_rule(), alert_store).error)


def test_a_store_that_is_away_is_no_evaluation() -> None:
    with pytest.raises(StorageUnavailable):
        look(make_rule(), ClickHouseHttp("http://127.0.0.1:9/logray"))


@pytest.mark.parametrize(
    ("operator", "value", "fires"),
    [
        (">", 10, 0),
        (">", 11, 1),
        (">=", 10, 1),
        ("<", 10, 0),
        ("<", 9, 1),
        ("<=", 10, 1),
        ("==", 10, 1),
        ("==", 9, 0),
    ],
)
def test_an_operator_compares_the_value_with_the_threshold(operator: str, value: float, fires: int) -> None:
    assert level_reached(make_rule(operator).condition, value) == fires


@pytest.mark.parametrize(
    ("value", "level", "kept"),
    [
        pytest.param(7, 2, 1, id="critical is left, warning is not"),
        pytest.param(25, 1, 2, id="a rise"),
        pytest.param(5, 1, 0, id="all is left"),
        pytest.param(6, 1, 1, id="held by its recovery threshold"),
        pytest.param(6, 0, 0, id="not reached again"),
    ],
)
def test_hysteresis_holds_each_severity_by_its_own_threshold(value: float, level: int, kept: int) -> None:
    thresholds = (Threshold("warning", 10, 5), Threshold("critical", 20, 15))
    condition = replace(make_rule().condition, thresholds=thresholds)
    assert level_kept(condition, value, level) == kept


@pytest.mark.parametrize(
    "text", ["a\tb", "a\nb", "it's", "\\", "\\n", "", "{x}", "☃", "a'],['b", "%41&query=x"]
)
def test_any_text_comes_through_as_a_parameter(logs: ClickHouseHttp, text: str) -> None:
    [row] = logs.select(
        "SELECT {one:String} AS one, {many:Array(String)} AS many", {"one": text, "many": [text, text]}
    )
    assert row == {"one": text, "many": [text, text]}
