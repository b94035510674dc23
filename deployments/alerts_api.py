"""The alert rules over HTTP: what is written is durable before the answer, and carried out right after it."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.placement import ALERT_SUPERVISOR
from alerts.book import read_rule
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.commands import Command, CommandKind, apply_command
from alerts.definitions import Definition, Definitions
from alerts.journal import Journal
from alerts.request import (
    PolicyBody,
    RuleBody,
    duration_ns,
    policy_of,
    rule_of,
    validate,
)
from alerts.rule import EscalationPolicy, Rule
from alerts.schedule import Window
from alerts.shown import shown_line, shown_rule
from alerts.state import RuleState, state_from_json
from alerts.targets import unmasked
from alerts.trial import counted, tried
from core.clock import Clock
from core.errors import Conflict, InvalidRequest, LograyError, MalformedBody, NotFound
from core.limits import API_BODY_BYTES_MAX
from core.settings import AlertSettings
from deployments.alert_bodies import (
    READ_ONLY,
    AcknowledgeBody,
    DurationBody,
    HistoryQuery,
    ListQuery,
    LogsQuery,
    MuteBody,
    UserBody,
    merge_patch,
)
from deployments.alert_objects_api import AlertObjectsApi
from deployments.answers import json_response, read_body, read_json
from query.times import read_time

PATH: Final = "/api/v1/alerts"
SUPERVISOR_WITHIN_S: Final = 8.0  # to be told; it looks by itself otherwise
LIVE_MAX: Final = 100  # rules whose actors are asked; of more at once the journal knows enough
STATES_WITHIN_S: Final = 1.0  # of the rules' actors; the journal's states are at most 30 s old

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)


class Actors(Protocol):
    """actors.named.NamedActors is one."""

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """The answer of an actor's method."""
        ...


class AlertsApi:
    """Everything below /api/v1/alerts but policies and maintenance windows."""

    def __init__(self, store: ClickHouseHttp, actors: Actors, settings: AlertSettings, clock: Clock) -> None:
        self._store, self._actors, self._settings, self._clock = store, actors, settings, clock
        self._definitions = Definitions(store)
        self._journal = Journal(store, settings.history_days)

    def routes(self) -> list[Route]:
        """What is to be mounted, in this order."""
        objects = AlertObjectsApi(self._definitions, self._clock, self.tell)
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
            Route(rule + "/mute", self.mute, methods=["POST"]),
            Route(rule + "/unmute", self.unmute, methods=["POST"]),
            Route(rule + "/acknowledge", self.acknowledge, methods=["POST"]),
            Route(rule + "/unacknowledge", self.unacknowledge, methods=["POST"]),
            Route(rule + "/history", self.history, methods=["GET"]),
            Route(rule + "/logs", self.logs, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """201 with the rule."""
        body, rule = await self._read_body(
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
        return await self._answer(definition, 201)

    async def list_rules(self, request: Request) -> Response:
        """200 with those that fit, in the order in which they were made."""
        wanted = validate(ListQuery, dict(request.query_params))
        definitions = [
            each for each in await asyncio.to_thread(self._definitions.all, "rule") if wanted.fits(each.body)
        ]
        rules = await self._rules(definitions)
        states = await self._states({each.id: rules[each.id] for each in definitions})
        shown = [shown_rule(each, rules[each.id], states[each.id]) for each in definitions]
        shown = [each for each in shown if wanted.state_fits(each)]
        page = shown[wanted.offset : wanted.offset + wanted.limit]
        return json_response(
            {"alerts": page, "total": len(shown), "limit": wanted.limit, "offset": wanted.offset}
        )

    async def get(self, request: Request) -> Response:
        """200 with the rule and its state."""
        return await self._answer(await self._kept(request))

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
        _, rule = await self._read_body("alert-test", sent)
        return json_response(await asyncio.to_thread(tried, self._store, rule, self._clock.now_ns()))

    async def test_kept(self, request: Request) -> Response:
        """The same for a rule that is there."""
        kept = await self._kept(request)
        rules = await self._rules([kept])
        return json_response(
            await asyncio.to_thread(tried, self._store, rules[kept.id], self._clock.now_ns())
        )

    async def mute(self, request: Request) -> Response:
        """200 with the rule; it is evaluated as before, and nobody is told."""
        body = await _optional_body(request, MuteBody)
        until_ns = None if body.duration is None else self._clock.now_ns() + duration_ns(body.duration)
        return await self._command(request, "mute", body.user, body.reason, until_ns)

    async def unmute(self, request: Request) -> Response:
        """200 with the rule."""
        body = await _optional_body(request, UserBody)
        return await self._command(request, "unmute", body.user)

    async def acknowledge(self, request: Request) -> Response:
        """200 with the rule; where nothing alerts nothing changes."""
        body = await _optional_body(request, AcknowledgeBody)
        until_ns = self._until_ns(body.until)
        return await self._command(request, "acknowledge", body.user, body.note, until_ns, body.group)

    async def unacknowledge(self, request: Request) -> Response:
        """200 with the rule; where nothing alerts nothing changes."""
        body = await _optional_body(request, UserBody)
        return await self._command(request, "unacknowledge", body.user, group=body.group)

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
        rule = (await self._rules([kept]))[kept.id]
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
        id_ = request.path_params["id"]
        kept = await asyncio.to_thread(self._definitions.one, "rule", id_)
        if kept is None:
            raise NotFound(f"there is no alert rule {id_[:100]}")
        return kept

    async def _read_body(self, id_: str, sent: Any) -> tuple[RuleBody, Rule]:
        body = validate(RuleBody, sent)
        return body, read_rule(id_, body, await self._policies(body.escalation_policy))

    async def _policies(self, id_: str | None) -> dict[str, EscalationPolicy]:
        if id_ is None:
            return {}
        kept = await asyncio.to_thread(self._definitions.one, "policy", id_)
        return {} if kept is None else {id_: policy_of(id_, validate(PolicyBody, kept.body))}

    async def _rules(self, definitions: list[Definition]) -> dict[str, Rule]:
        return {each.id: rule_of(each.id, validate(RuleBody, each.body), None) for each in definitions}

    async def _replace(self, kept: Definition, sent: Any) -> Response:
        if isinstance(sent, dict):
            writable = {name: value for name, value in sent.items() if name not in READ_ONLY}
            sent = {
                **writable,
                "notifications": unmasked(sent.get("notifications", []), kept.body["notifications"]),
            }
        body, _ = await self._read_body(kept.id, sent)
        version = max(self._clock.now_ns(), kept.version + 1)
        definition = replace(kept, version=version, body=body.model_dump(mode="json"))
        await asyncio.to_thread(self._definitions.put, definition)
        await self.tell()
        return await self._answer(definition)

    async def _answer(self, definition: Definition, status: int = 200) -> Response:
        rules = await self._rules([definition])
        states = await self._states(rules)
        return json_response(shown_rule(definition, rules[definition.id], states[definition.id]), status)

    async def _states(self, rules: Mapping[str, Rule]) -> dict[str, RuleState]:
        """The newest states: those of the actors where they are further, with all commands carried out."""
        if not rules:
            return {}
        ids = list(rules)
        kept, live = await asyncio.gather(
            asyncio.to_thread(self._journal.states, ids), self._live_states(ids)
        )
        states = {each: kept.get(each, RuleState()) for each in ids}
        for id_, state in live.items():
            if (state.revision, state.evaluated_until_ns) >= (
                states[id_].revision,
                states[id_].evaluated_until_ns,
            ):
                states[id_] = state
        after = {id_: state.commands_until for id_, state in states.items()}
        for id_, commands in (await asyncio.to_thread(self._journal.commands, after)).items():
            for command in commands:
                states[id_] = apply_command(rules[id_], states[id_], command).state
        return states

    async def _live_states(self, ids: list[str]) -> dict[str, RuleState]:
        if len(ids) > LIVE_MAX:
            return {}
        try:
            answer = self._actors.ask(ALERT_SUPERVISOR, "states", ids, STATES_WITHIN_S)
            found = await asyncio.wait_for(answer, STATES_WITHIN_S * 2)
        except (LograyError, TimeoutError):
            return {}
        return {id_: state_from_json(text) for id_, text in found.items()}

    async def _command(
        self,
        request: Request,
        kind: CommandKind,
        user: str,
        text: str = "",
        until_ns: int | None = None,
        group: str | None = None,
    ) -> Response:
        kept = await self._kept(request)
        episodes: tuple[tuple[str, int], ...] = ()
        if kind in ("acknowledge", "unacknowledge"):
            states = await self._states(await self._rules([kept]))
            open_ = {
                name: each.episode for name, each in states[kept.id].groups.items() if each.status != "ok"
            }
            if group is not None:
                open_ = {name: episode for name, episode in open_.items() if name == group}
            if not open_:
                # It may just have recovered: the answer says how it is.
                return await self._answer(kept)
            episodes = tuple(open_.items())
        command = Command(self._clock.now_ns(), kind, user, text, until_ns, episodes)
        row = self._journal.command_row(kept.id, command)
        await asyncio.to_thread(self._journal.write, [row])
        try:
            await asyncio.wait_for(self._actors.ask(ALERT_SUPERVISOR, "poke", kept.id), SUPERVISOR_WITHIN_S)
        except (LograyError, TimeoutError) as error:
            log.info("the rule's actor will find the command by itself: %s", error)
        return await self._answer(kept)

    def _until_ns(self, text: str | None) -> int | None:
        if text is None:
            return None
        now_ns = self._clock.now_ns()
        span = read_time(text, now_ns)
        if span is not None and span.end_ns > now_ns:
            return span.end_ns if not text.startswith("now") else span.start_ns
        try:
            return now_ns + duration_ns(validate(DurationBody, {"until": text}).until)
        except InvalidRequest:
            raise InvalidRequest(
                {"until": "must be a time to come as 2026-01-15T10:00:00Z, or a duration as 2h"}
            ) from None


def alert_routes(store_url: StoreUrl, actors: Actors, settings: AlertSettings, clock: Clock) -> list[Route]:
    """All routes below /api/v1/alerts."""
    return AlertsApi(ClickHouseHttp(store_url), actors, settings, clock).routes()


async def _optional_body(request: Request, model: type[Model]) -> Model:
    """The body, or its defaults where there is none: `curl -X POST …/unmute` sends nothing."""
    body = await read_body(request, API_BODY_BYTES_MAX)
    if not body.strip():
        return validate(model, {})
    try:
        return validate(model, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"cannot parse the body as JSON: {error.msg}", error.pos) from None
