"""The alert rules over HTTP: what is written is durable before the answer, and carried out right after it."""

import asyncio
import logging
import secrets
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.named import Actors
from actors.placement import ALERT_SUPERVISOR
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.definitions import Definition, Definitions
from alerts.journal import Journal
from alerts.schedule import Window
from alerts.shown import shown_line, shown_rule
from alerts.targets import unmasked
from alerts.trial import counted, tried
from alerts.validation import validate
from core.clock import Clock
from core.errors import Conflict, InvalidRequest, LograyError
from core.limits import API_BODY_BYTES_MAX
from core.settings import AlertSettings
from deployments.alert_bodies import (
    READ_ONLY,
    HistoryQuery,
    ListQuery,
    LogsQuery,
    merge_patch,
)
from deployments.alert_commands_api import AlertCommandsApi
from deployments.alert_objects_api import AlertObjectsApi
from deployments.alert_rules import AlertRules, rules_by_id
from deployments.alert_states import SUPERVISOR_WITHIN_S, RuleStates
from deployments.answers import json_response, read_json
from query.times import read_time

PATH: Final = "/api/v1/alerts"

log = logging.getLogger(__name__)


class AlertsApi:
    """Everything below /api/v1/alerts but policies and maintenance windows."""

    def __init__(self, store: ClickHouseHttp, actors: Actors, settings: AlertSettings, clock: Clock) -> None:
        self._store, self._actors, self._settings, self._clock = store, actors, settings, clock
        self._definitions = Definitions(store)
        self._journal = Journal(store, settings.history_days)
        self._rules = AlertRules(self._definitions, RuleStates(self._journal, actors))

    def routes(self) -> list[Route]:
        """What is to be mounted, in this order."""
        objects = AlertObjectsApi(self._definitions, self._clock, self.tell)
        commands = AlertCommandsApi(self._rules, self._journal, self._actors, self._clock)
        rule = PATH + "/{id}"
        return [
            Route(PATH, self.list_rules, methods=["GET"]),
            Route(PATH, self.create, methods=["POST"]),
            Route(PATH + "/test", self.test, methods=["POST"]),
            *objects.routes(PATH),
            Route(rule, self.get, methods=["GET"]),
            Route(rule, self.put, methods=["PUT"]),
            Route(rule, self.patch, methods=["PATCH"]),
            Route(rule, self.delete, methods=["DELETE"]),
            Route(rule + "/test", self.test_kept, methods=["POST"]),
            *commands.routes(rule),
            Route(rule + "/history", self.history, methods=["GET"]),
            Route(rule + "/logs", self.logs, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """201 with the rule."""
        body, rule = await self._rules.read(
            f"alert-{secrets.token_hex(8)}", await read_json(request, API_BODY_BYTES_MAX)
        )
        if len(await asyncio.to_thread(self._definitions.all, "rule")) >= self._settings.rules_max:
            raise Conflict(
                f"there are {self._settings.rules_max} rules, which is as many as alerts.rules_max allows"
            )
        now_ns = self._clock.now_ns()
        definition = Definition("rule", rule.id, now_ns, now_ns, body.model_dump(mode="json"))
        await asyncio.to_thread(self._definitions.put, definition)
        await self.tell()
        return await self._rules.answer(definition, 201)

    async def list_rules(self, request: Request) -> Response:
        """200 with those that fit, in the order in which they were made."""
        wanted = validate(ListQuery, dict(request.query_params))
        definitions = [
            each for each in await asyncio.to_thread(self._definitions.all, "rule") if wanted.fits(each.body)
        ]
        rules = rules_by_id(definitions)
        states = await self._rules.states.newest(rules)
        shown = [shown_rule(each, rules[each.id], states[each.id]) for each in definitions]
        shown = [each for each in shown if wanted.state_fits(each)]
        page = shown[wanted.offset : wanted.offset + wanted.limit]
        return json_response(
            {"alerts": page, "total": len(shown), "limit": wanted.limit, "offset": wanted.offset}
        )

    async def get(self, request: Request) -> Response:
        """200 with the rule and its state."""
        return await self._rules.answer(await self._kept(request))

    async def put(self, request: Request) -> Response:
        """200 with the rule as it is now; masked secrets stay what they were."""
        kept = await self._kept(request)
        return await self._replace(kept, await read_json(request, API_BODY_BYTES_MAX))

    async def patch(self, request: Request) -> Response:
        """The same for a JSON merge patch (RFC 7396)."""
        kept = await self._kept(request)
        patch = await read_json(request, API_BODY_BYTES_MAX)
        if not isinstance(patch, dict):
            raise InvalidRequest({"body": "must be a JSON object"})
        return await self._replace(kept, merge_patch(dict(kept.body), patch))

    async def delete(self, request: Request) -> Response:
        """204; what it had opened at its receivers is closed."""
        kept = await self._kept(request)
        version = max(self._clock.now_ns(), kept.version + 1)
        await asyncio.to_thread(self._definitions.put, replace(kept, version=version, deleted=True))
        await self.tell()
        return Response(status_code=204)

    async def test(self, request: Request) -> Response:
        """200 with what an evaluation would give now; nobody is told."""
        sent = await read_json(request, API_BODY_BYTES_MAX)
        if isinstance(sent, dict):
            sent = {"name": "test", **sent}
        _, rule = await self._rules.read("alert-test", sent)
        return json_response(await asyncio.to_thread(tried, self._store, rule, self._clock.now_ns()))

    async def test_kept(self, request: Request) -> Response:
        """The same for a rule that is there."""
        kept = await self._kept(request)
        rules = rules_by_id([kept])
        return json_response(
            await asyncio.to_thread(tried, self._store, rules[kept.id], self._clock.now_ns())
        )

    async def logs(self, request: Request) -> Response:
        """200 with the logs that the rule counts in a window: what the links in notices lead to."""
        kept = await self._kept(request)
        wanted = validate(LogsQuery, dict(request.query_params))
        spans = {
            name: read_time(text, self._clock.now_ns())
            for name, text in (("from", wanted.from_), ("to", wanted.to))
        }
        problems = {
            name: "must be a time as 2026-01-15T10:00:00Z" for name, span in spans.items() if span is None
        }
        if problems:
            raise InvalidRequest(problems)
        from_ns, until_ns = (span.start_ns for span in spans.values() if span is not None)
        rule = rules_by_id([kept])[kept.id]
        window = Window(from_ns, until_ns)
        return json_response(
            await asyncio.to_thread(counted, self._store, rule, window, wanted.group, wanted.limit)
        )

    async def history(self, request: Request) -> Response:
        """200 with a page of what happened, newest first."""
        wanted = validate(HistoryQuery, dict(request.query_params))
        id_ = request.path_params["id"]
        before = None
        if wanted.cursor is not None:
            at, _, key = wanted.cursor.partition("-")
            before = (int(at), key)
        lines = await asyncio.to_thread(self._journal.history, id_, before, wanted.limit)
        if not lines and wanted.cursor is None:
            await self._kept(request)  # a rule that is deleted has a history; one that never was has none
        keys = [line.key for line in lines if line.kind == "notice"]
        deliveries = await asyncio.to_thread(self._journal.deliveries, id_, keys) if keys else {}
        cursor = f"{lines[-1].at_ns}-{lines[-1].key}" if len(lines) == wanted.limit else None
        return json_response(
            {"history": [shown_line(line, deliveries) for line in lines], "next_cursor": cursor}
        )

    async def tell(self) -> None:
        """Have the supervisor look at once; it finds by itself what it is not told."""
        try:
            await asyncio.wait_for(self._actors.ask(ALERT_SUPERVISOR, "changed"), SUPERVISOR_WITHIN_S)
        except (LograyError, TimeoutError) as error:
            log.info("the alert supervisor will find the change by itself: %s", error)

    async def _kept(self, request: Request) -> Definition:
        return await self._rules.one(request.path_params["id"])

    async def _replace(self, kept: Definition, sent: Any) -> Response:
        if isinstance(sent, dict):
            writable = {name: value for name, value in sent.items() if name not in READ_ONLY}
            sent = {
                **writable,
                "notifications": unmasked(sent.get("notifications", []), kept.body["notifications"]),
            }
        body, _ = await self._rules.read(kept.id, sent)
        version = max(self._clock.now_ns(), kept.version + 1)
        definition = replace(kept, version=version, body=body.model_dump(mode="json"))
        await asyncio.to_thread(self._definitions.put, definition)
        await self.tell()
        return await self._rules.answer(definition)


def alert_routes(store_url: StoreUrl, actors: Actors, settings: AlertSettings, clock: Clock) -> list[Route]:
    """All routes below /api/v1/alerts."""
    return AlertsApi(ClickHouseHttp(store_url), actors, settings, clock).routes()
