"""Escalation policies and maintenance windows over HTTP."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.checks import check_policy
from alerts.definitions import Definition, Definitions, Kind
from alerts.request import PolicyBody
from alerts.shown import shown_policy, shown_window
from alerts.targets import unmasked
from alerts.validation import validate
from alerts.windows_request import WindowBody
from core.clock import Clock
from core.errors import Conflict, NotFound
from core.limits import API_BODY_BYTES_MAX
from deployments.answers import json_response, read_json

Tell = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Collection:
    """One kind of object: its path, its name in answers, how it is read and shown."""

    kind: Kind
    path: str
    list_name: str
    prefix: str
    model: type[BaseModel]
    show: Callable[[Definition], dict[str, Any]]


COLLECTIONS = (
    _Collection("policy", "escalation-policies", "escalation_policies", "policy", PolicyBody, shown_policy),
    _Collection("window", "maintenance-windows", "maintenance_windows", "window", WindowBody, shown_window),
)


class AlertObjectsApi:
    """The same routes for both collections."""

    def __init__(self, definitions: Definitions, clock: Clock, tell: Tell) -> None:
        self._definitions, self._clock, self._tell = definitions, clock, tell

    def routes(self, base: str) -> list[Route]:
        """What is to be mounted, before the routes of single rules."""
        found = []
        for collection in COLLECTIONS:
            handler = _Handler(self._definitions, self._clock, self._tell, collection)
            path = f"{base}/{collection.path}"
            found += [
                Route(path, handler.list_all, methods=["GET"]),
                Route(path, handler.create, methods=["POST"]),
                Route(path + "/{id}", handler.get, methods=["GET"]),
                Route(path + "/{id}", handler.put, methods=["PUT"]),
                Route(path + "/{id}", handler.delete, methods=["DELETE"]),
            ]
        return found


class _Handler:
    def __init__(self, definitions: Definitions, clock: Clock, tell: Tell, collection: _Collection) -> None:
        self._definitions, self._clock, self._tell = definitions, clock, tell
        self._collection = collection

    async def list_all(self, _: Request) -> Response:
        """200 with all of them."""
        found = await asyncio.to_thread(self._definitions.all, self._collection.kind)
        return json_response({self._collection.list_name: [self._collection.show(each) for each in found]})

    async def create(self, request: Request) -> Response:
        """201 with the object and its id."""
        body = self._read(await read_json(request, API_BODY_BYTES_MAX))
        now_ns = self._clock.now_ns()
        id_ = f"{self._collection.prefix}-{secrets.token_hex(8)}"
        return await self._write(Definition(self._collection.kind, id_, now_ns, now_ns, body), 201)

    async def get(self, request: Request) -> Response:
        """200 with the object."""
        return json_response(self._collection.show(await self._kept(request)))

    async def put(self, request: Request) -> Response:
        """200 with the object as it is now; masked secrets stay what they were."""
        kept = await self._kept(request)
        sent = await read_json(request, API_BODY_BYTES_MAX)
        if isinstance(sent, dict):
            sent = {
                name: value for name, value in sent.items() if name not in ("id", "created_at", "updated_at")
            }
            if "steps" in sent:
                sent["steps"] = _unmasked_steps(sent["steps"], kept.body)
        version = max(self._clock.now_ns(), kept.version + 1)
        return await self._write(replace(kept, version=version, body=self._read(sent)), 200)

    async def delete(self, request: Request) -> Response:
        """204; 409 while a rule uses it."""
        kept = await self._kept(request)
        if kept.kind == "policy":
            rules = await asyncio.to_thread(self._definitions.all, "rule")
            using = [each.id for each in rules if each.body.get("escalation_policy") == kept.id]
            if using:
                raise Conflict(f"the policy is used by {', '.join(using[:10])}")
        version = max(self._clock.now_ns(), kept.version + 1)
        await asyncio.to_thread(self._definitions.put, replace(kept, version=version, deleted=True))
        await self._tell()
        return Response(status_code=204)

    def _read(self, sent: Any) -> dict[str, Any]:
        body = validate(self._collection.model, sent)
        if isinstance(body, PolicyBody):
            check_policy(body)
        return body.model_dump(mode="json")

    async def _write(self, definition: Definition, status: int) -> Response:
        await asyncio.to_thread(self._definitions.put, definition)
        await self._tell()
        return json_response(self._collection.show(definition), status)

    async def _kept(self, request: Request) -> Definition:
        id_ = request.path_params["id"]
        kept = await asyncio.to_thread(self._definitions.one, self._collection.kind, id_)
        if kept is None:
            raise NotFound(f"there is no {self._collection.path[:-1]} {id_[:100]}")
        return kept


def _unmasked_steps(sent: Any, body: Mapping[str, Any]) -> Any:
    kept = [target for step in body.get("steps", ()) for target in step["targets"]]
    if not isinstance(sent, list):
        return sent
    return [
        {**step, "targets": unmasked(step.get("targets"), kept)} if isinstance(step, dict) else step
        for step in sent
    ]
