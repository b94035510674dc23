"""Mute and acknowledge over HTTP: a command is durable before the answer, and carried out right after it."""

import asyncio
import logging
from typing import TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.named import Actors
from actors.placement import ALERT_SUPERVISOR
from alerts.commands import Command, CommandKind
from alerts.durations import duration_ns
from alerts.journal import Journal
from alerts.validation import validate
from core.clock import Clock
from core.errors import InvalidRequest, LograyError, MalformedBody
from core.limits import API_BODY_BYTES_MAX
from deployments.alert_bodies import AcknowledgeBody, DurationBody, MuteBody, UserBody
from deployments.alert_rules import AlertRules, rules_by_id
from deployments.alert_states import SUPERVISOR_WITHIN_S
from deployments.answers import read_body
from query.times import read_time

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)


class AlertCommandsApi:
    """What people say to a rule that alerts."""

    def __init__(self, rules: AlertRules, journal: Journal, actors: Actors, clock: Clock) -> None:
        self._rules, self._journal, self._actors, self._clock = rules, journal, actors, clock

    def routes(self, rule: str) -> list[Route]:
        """Those below a rule's path."""
        return [
            Route(rule + "/mute", self.mute, methods=["POST"]),
            Route(rule + "/unmute", self.unmute, methods=["POST"]),
            Route(rule + "/acknowledge", self.acknowledge, methods=["POST"]),
            Route(rule + "/unacknowledge", self.unacknowledge, methods=["POST"]),
        ]

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

    async def _command(
        self,
        request: Request,
        kind: CommandKind,
        user: str,
        text: str = "",
        until_ns: int | None = None,
        group: str | None = None,
    ) -> Response:
        kept = await self._rules.one(request.path_params["id"])
        episodes: tuple[tuple[str, int], ...] = ()
        if kind in ("acknowledge", "unacknowledge"):
            states = await self._rules.states.newest(rules_by_id([kept]))
            open_ = {
                name: each.episode for name, each in states[kept.id].groups.items() if each.status != "ok"
            }
            if group is not None:
                open_ = {name: episode for name, episode in open_.items() if name == group}
            if not open_:
                # It may just have recovered: the answer says how it is.
                return await self._rules.answer(kept)
            episodes = tuple(open_.items())
        command = Command(self._clock.now_ns(), kind, user, text, until_ns, episodes)
        row = self._journal.command_row(kept.id, command)
        await asyncio.to_thread(self._journal.write, [row])
        try:
            await asyncio.wait_for(self._actors.ask(ALERT_SUPERVISOR, "poke", kept.id), SUPERVISOR_WITHIN_S)
        except (LograyError, TimeoutError) as error:
            log.info("the rule's actor will find the command by itself: %s", error)
        return await self._rules.answer(kept)

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


async def _optional_body(request: Request, model: type[Model]) -> Model:
    """The body, or its defaults where there is none: `curl -X POST …/unmute` sends nothing."""
    body = await read_body(request, API_BODY_BYTES_MAX)
    if not body.strip():
        return validate(model, {})
    try:
        return validate(model, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"cannot parse the body as JSON: {error.msg}", error.pos) from None
