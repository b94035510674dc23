"""The alert routes over a real socket and a real store, while the alert supervisor is away: all of it is
durable.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import uvicorn

from alerts.book import Book, open_book
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.definitions import Definitions
from alerts.journal import Journal
from alerts.rule import SECOND_NS
from alerts.runner import Runner
from alerts.schedule import SteadyClock
from core.clock import SystemClock
from core.errors import StorageUnavailable
from core.metrics import Metrics
from core.settings import AlertSettings
from deployments.access import Access
from deployments.alerts_api import AlertsApi
from deployments.application import build_application
from storage.clickhouse import ClickHouse
from tests.alerts.making import MovedClock, put_logs

CLOCK = SystemClock()
SETTINGS = AlertSettings(rules_max=4)
DEMO = {
    "name": "High error rate",
    "query": "level:error AND service:api",
    "condition": {"type": "count", "operator": ">", "threshold": 2, "window": "5m"},
    "notifications": [{"type": "slack", "channel": "#alerts"}, {"type": "pagerduty", "service_key": "xxx"}],
}


class Away:
    """The way to actors none of which runs."""

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        raise StorageUnavailable(f"the {name} is restarting, try again")


class Api:
    """A client of the routes, and the rules' work done by hand."""

    def __init__(self, client: aiohttp.ClientSession, clickhouse: ClickHouse, store: ClickHouseHttp) -> None:
        self.client, self.clickhouse, self.store = client, clickhouse, store

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        async with self.client.request(method, f"/api/v1/alerts{path}", json=body) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def create(self, **fields: Any) -> str:
        status, rule = await self.ask("POST", body={**DEMO, **fields})
        assert status == 201, rule
        return str(rule["id"])

    def evaluate(self, *, errors: int = 0) -> None:
        """Let every rule look once at the last five minutes, with so many errors in them."""
        now_ns = time.time_ns()
        if errors:
            put_logs(self.clickhouse, [{"at_ns": now_ns - 120 * SECOND_NS - i} for i in range(errors)])
        definitions = Definitions(self.store).all()
        book = open_book(definitions, SETTINGS, StoreUrl("http://127.0.0.1:9/x"), Book())
        for order in book.orders.values():
            Runner(order, self.store, SteadyClock(MovedClock(now_ns))).run_due(look_for_commands=True)


@pytest.fixture
async def api(clickhouse: ClickHouse, alert_store: ClickHouseHttp) -> AsyncIterator[Api]:
    routes = AlertsApi(alert_store, Away(), SETTINGS, CLOCK).routes()
    application = build_application(routes, Access((), "127.0.0.1"), Metrics(CLOCK))
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await CLOCK.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield Api(client, clickhouse, alert_store)
    server.should_exit = True
    await serving


async def test_the_demo_runs_as_typed(api: Api) -> None:
    status, made = await api.ask("POST", body=DEMO)
    assert (status, made["state"], made["value"], made["last_triggered"]) == (201, "ok", None, None)
    assert made["id"].startswith("alert-")
    assert made["notifications"][1] == {"type": "pagerduty", "service_key": "********"}
    api.evaluate(errors=3)
    path = f"/{made['id']}"
    status, rule = await api.ask("GET", path)
    assert (status, rule["state"], rule["value"], rule["current_severity"]) == (
        200,
        "alerting",
        3,
        "critical",
    )
    assert rule["last_triggered"].endswith("Z")
    status, listed = await api.ask("GET", "?state=alerting&muted=false")
    assert (listed["total"], listed["alerts"][0]["id"]) == (1, made["id"])
    status, muted = await api.ask("POST", path + "/mute", {"duration": "1h", "reason": "deploy"})
    assert (status, muted["muted"]["reason"]) == (200, "deploy")
    status, taken = await api.ask(
        "POST", path + "/acknowledge", {"user": "ann", "note": "on it", "until": "2h"}
    )
    assert (status, taken["acknowledged"]["user"], taken["acknowledged"]["note"]) == (200, "ann", "on it")
    assert (await api.ask("POST", path + "/unmute"))[1]["muted"] is None
    assert (await api.ask("POST", path + "/unacknowledge", {"user": "ann"}))[1]["acknowledged"] is None
    api.evaluate()
    status, page = await api.ask("GET", path + "/history")
    events = [line["event"] for line in page["history"]]
    assert {"transition", "notice", "muted", "acknowledged", "unmuted", "unacknowledged"} <= set(events)
    notices = [line for line in page["history"] if line["event"] == "notice"]
    assert {line["target"]["type"] for line in notices} >= {"slack", "pagerduty"}
    assert "xxx" not in str(page)
    assert (await api.ask("DELETE", path))[0] == 204
    assert (await api.ask("GET", path))[0] == 404
    assert (await api.ask("GET", path + "/history"))[0] == 200


async def test_wrong_fields_are_named_by_their_paths_and_nothing_is_kept(api: Api) -> None:
    status, answer = await api.ask("POST", body={**DEMO, "query": "level:(", "condition": {"window": "5m"}})
    assert (status, set(answer["fields"])) == (422, {"query", "condition.threshold"})
    assert "position 7" in answer["fields"]["query"]
    assert (await api.ask("GET"))[1]["total"] == 0


async def test_two_rules_may_share_a_query_and_there_are_only_so_many(api: Api) -> None:
    ids = [await api.create() for _ in range(4)]
    assert len(set(ids)) == 4
    assert (await api.ask("POST", body=DEMO))[0] == 409


async def test_the_list_is_filtered_and_paged(api: Api) -> None:
    await api.create(name="Disk full", labels={"team": "blue"})
    await api.create(name="Disk slow", labels={"team": "red"}, enabled=False)
    await api.create(name="Login")

    async def found(query: str) -> list[str]:
        status, page = await api.ask("GET", query)
        assert status == 200
        return [rule["name"] for rule in page["alerts"]]

    assert await found("?name=disk") == ["Disk full", "Disk slow"]
    assert await found("?label=team=red") == ["Disk slow"]
    assert await found("?enabled=false") == ["Disk slow"]
    assert await found("?limit=1&offset=1") == ["Disk slow"]
    assert await found("?label=team") == ["Disk full", "Disk slow"]
    assert await found("?state=alerting") == []


async def test_the_list_is_filtered_by_state_and_counts_what_is_on_other_pages(api: Api) -> None:
    loud, _ = await api.create(name="Loud"), await api.create(name="Warned", severity="warning")
    await api.create(name="Quiet", condition={"threshold": 100})
    api.evaluate(errors=3)
    await api.ask("POST", f"/{loud}/mute")
    await api.ask("POST", f"/{loud}/acknowledge")
    for query, names in {
        "state=alerting": ["Loud", "Warned"],
        "state=ok": ["Quiet"],
        "severity=warning": ["Warned"],
        "severity=critical": ["Loud"],
        "muted=true": ["Loud"],
        "muted=false": ["Warned", "Quiet"],
        "acknowledged=true": ["Loud"],
        "acknowledged=false&state=alerting": ["Warned"],
    }.items():
        _, page = await api.ask("GET", f"?{query}")
        assert [rule["name"] for rule in page["alerts"]] == names, query
    _, page = await api.ask("GET", "?state=alerting&limit=1&offset=1")
    assert ([rule["name"] for rule in page["alerts"]], page["total"]) == (["Warned"], 2)


async def test_every_route_names_what_is_wrong_by_its_path(api: Api) -> None:
    id_ = await api.create()
    step = {"delay": "10m", "targets": [{"type": "pagerduty"}]}
    for method, path, body, wrong in [
        ("GET", "?colour=red", None, ["colour"]),
        ("GET", "?state=loud&limit=0", None, ["limit", "state"]),
        ("POST", "", [], ["body"]),
        ("PUT", f"/{id_}", {**DEMO, "cooldown": "soon"}, ["cooldown"]),
        ("PATCH", f"/{id_}", {"condition": {"window": "400d"}}, ["condition.window"]),
        ("PATCH", f"/{id_}", [], ["body"]),
        ("POST", "/test", {"query": "level:error", "condition": {"operator": "~"}}, ["condition.operator"]),
        ("POST", f"/{id_}/mute", {"duration": "-1h"}, ["duration"]),
        ("POST", f"/{id_}/unmute", {"until": "1h"}, ["until"]),
        ("POST", f"/{id_}/acknowledge", {"user": "", "until": 1}, ["until", "user"]),
        ("POST", f"/{id_}/acknowledge", {"until": "yesterday"}, ["until"]),
        ("GET", f"/{id_}/history?cursor=x", None, ["cursor"]),
        ("GET", f"/{id_}/logs?from=soon&to=2026-01-15", None, ["from"]),
        ("POST", "/escalation-policies", {"name": "x", "steps": []}, ["steps"]),
        ("POST", "/escalation-policies", {"name": "x", "steps": [step]}, ["steps.0.targets.0.service_key"]),
    ]:
        status, answer = await api.ask(method, path, body)
        assert (status, sorted(answer.get("fields", {}))) == (422, wrong), (method, path, answer)
    for method, path in [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"),
                         ("GET", "/history")]:  # fmt: skip
        assert (await api.ask(method, f"/alert-0{path}", {}))[0] == 404, (method, path)


async def test_put_and_patch_keep_secrets_that_come_back_masked(
    api: Api, alert_store: ClickHouseHttp
) -> None:
    webhook = {
        "type": "webhook",
        "url": "https://bob:pass@hook.example/x?token=t0k3n",
        "headers": {"X-Key": "k3y"},
        "secret": "s3cret",
    }
    id_ = await api.create(notifications=[webhook, {"type": "pagerduty", "routing_key": "r0ut3"}])
    _, shown = await api.ask("GET", f"/{id_}")
    for secret in ("bob", "pass", "t0k3n", "k3y", "s3cret", "r0ut3"):
        assert secret not in str(shown)
    status, put = await api.ask("PUT", f"/{id_}", {**shown, "name": "Renamed"})
    assert (status, put["name"]) == (200, "Renamed")
    status, patched = await api.ask("PATCH", f"/{id_}", {"condition": {"threshold": 7}, "cooldown": "10m"})
    assert (status, patched["condition"]["threshold"], patched["cooldown"]) == (200, 7, "10m")
    kept = Definitions(alert_store).all("rule")[0].body["notifications"]
    assert (kept[0]["url"], kept[0]["headers"], kept[0]["secret"]) == (
        webhook["url"],
        {"X-Key": "k3y"},
        "s3cret",
    )
    assert kept[1]["service_key"] == "r0ut3"
    assert (await api.ask("PATCH", f"/{id_}", {"query": "("}))[0] == 422


async def test_a_rule_can_be_tried_without_being_kept(api: Api) -> None:
    put_logs(api.clickhouse, [{"at_ns": time.time_ns() - 120 * SECOND_NS, "message": "oh no"}] * 3)
    status, tried = await api.ask("POST", "/test", {name: DEMO[name] for name in ("query", "condition")})
    assert (status, tried["would_fire"], tried["value"], tried["severity"]) == (200, True, 3, "critical")
    assert tried["sample_logs"][0]["message"] == "oh no"
    id_ = await api.create(condition={"threshold": 5})
    assert (await api.ask("POST", f"/{id_}/test"))[1]["would_fire"] is False
    assert (await api.ask("GET"))[1]["alerts"][0]["state"] == "ok"
    assert (await api.ask("POST", "/test", {"query": "("}))[0] == 422


async def test_acknowledging_a_rule_that_is_quiet_changes_nothing(api: Api) -> None:
    id_ = await api.create()
    status, rule = await api.ask("POST", f"/{id_}/acknowledge", {"user": "ann"})
    assert (status, rule["acknowledged"]) == (200, None)
    assert (await api.ask("POST", f"/{id_}/acknowledge", {"until": "yesterday"}))[0] == 422
    assert (await api.ask("POST", "/alert-0/mute"))[0] == 404


async def test_groups_are_shown_and_acknowledged_one_by_one(api: Api) -> None:
    id_ = await api.create(group_by="host", condition={"threshold": 1})
    at_ns = time.time_ns() - 120 * SECOND_NS
    put_logs(api.clickhouse, [{"at_ns": at_ns, "host": host} for host in ("a", "a", "b", "b", "c")])
    api.evaluate()
    _, rule = await api.ask("POST", f"/{id_}/acknowledge", {"user": "ann", "group": "b"})
    assert [(each["group"], each["state"], bool(each["acknowledged"])) for each in rule["groups"]] == [
        ("a", "alerting", False),
        ("b", "alerting", True),
        ("c", "ok", False),
    ]


async def test_history_is_paged_without_gaps(api: Api) -> None:
    id_ = await api.create()
    for _ in range(5):
        await api.ask("POST", f"/{id_}/mute", {"duration": "1h"})
        await api.ask("POST", f"/{id_}/unmute")
    api.evaluate()
    seen: list[str] = []
    cursor = ""
    while True:
        _, page = await api.ask("GET", f"/{id_}/history?limit=3{cursor}")
        seen += [line["event"] for line in page["history"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["unmuted", "muted"] * 5


async def test_escalation_policies_are_kept_and_used(api: Api) -> None:
    policy = {
        "name": "On call",
        "steps": [{"delay": "10m", "targets": [{"type": "pagerduty", "service_key": "k3y"}]}],
        "repeat": 2,
    }
    status, made = await api.ask("POST", "/escalation-policies", policy)
    assert (status, made["steps"][0]["targets"][0]["service_key"]) == (201, "********")
    rule = await api.create(escalation_policy=made["id"])
    assert (await api.ask("DELETE", f"/escalation-policies/{made['id']}"))[0] == 409
    status, put = await api.ask("PUT", f"/escalation-policies/{made['id']}", {**made, "repeat": 0})
    assert (status, put["repeat"]) == (200, 0)
    assert Definitions(api.store).all("policy")[0].body["steps"][0]["targets"][0]["service_key"] == "k3y"
    _, listed = await api.ask("GET", "/escalation-policies")
    assert [each["name"] for each in listed["escalation_policies"]] == ["On call"]
    await api.ask("DELETE", f"/{rule}")
    assert (await api.ask("DELETE", f"/escalation-policies/{made['id']}"))[0] == 204
    assert (await api.ask("POST", "/escalation-policies", {"name": "x", "steps": []}))[0] == 422


async def test_maintenance_windows_are_kept(api: Api) -> None:
    window = {"name": "Backups", "recurrence": {"at": "02:00", "duration": "1h", "weekdays": ["Sunday"]}}
    status, made = await api.ask("POST", "/maintenance-windows", window)
    assert (status, made["recurrence"]["weekdays"]) == (201, ["sun"])
    assert (await api.ask("GET", f"/maintenance-windows/{made['id']}"))[1] == made
    assert (await api.ask("DELETE", f"/maintenance-windows/{made['id']}"))[0] == 204
    assert (await api.ask("GET", f"/maintenance-windows/{made['id']}"))[0] == 404
    status, answer = await api.ask(
        "POST", "/maintenance-windows", {**window, "recurrence": {"at": "25:00", "duration": "1h"}}
    )
    assert (status, list(answer["fields"])) == (422, ["recurrence.at"])


async def test_the_link_of_a_notice_leads_to_the_logs_that_were_counted(api: Api) -> None:
    id_ = await api.create(group_by="host")
    at_ns = time.time_ns() - 120 * SECOND_NS
    put_logs(api.clickhouse, [{"at_ns": at_ns + i, "host": 'a"&b', "message": f"no {i}"} for i in range(9)])
    put_logs(
        api.clickhouse,
        [{"at_ns": at_ns, "host": "other"}, {"at_ns": at_ns - 3600 * SECOND_NS, "host": 'a"&b'}],
    )
    api.evaluate()
    [notice, *_] = Journal(api.store).pending_notices(0)
    link = notice.body["content"]["links"]["search"].removeprefix("http://localhost:8080/api/v1/alerts")
    status, found = await api.ask("GET", link)
    assert (status, [log["message"] for log in found["logs"]]) == (
        200,
        [f"no {i}" for i in reversed(range(9))],
    )
    assert found["search"]["query"].startswith(
        '((level:error AND service:api) AND host:"a\\"&b") AND _ingested_at:['
    )
    assert (await api.ask("GET", f"/{id_}/logs?from=soon&to=late"))[0] == 422
