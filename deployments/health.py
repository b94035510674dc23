"""What watches the service: `/healthz`, `/readyz` and `/metrics`."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.named import Actors
from actors.placement import METRICS_HUB, SUPERVISOR
from core.clock import Clock
from deployments.answers import json_response

READY_CACHED_S: Final = 0.5  # many probes at once ask the actors once
ANSWER_WITHIN_S: Final = 5.0
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class HealthApi:
    """The three routes."""

    def __init__(self, actors: Actors, clock: Clock) -> None:
        self._actors, self._clock = actors, clock
        self._checked: tuple[float, dict[str, str]] | None = None
        self._lock = asyncio.Lock()

    def routes(self) -> list[Route]:
        """What is to be mounted."""
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def alive(self, _: Request) -> Response:
        """200 while this process answers."""
        return json_response({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """200 when logs can be taken in and found, else 503 with the reason."""
        problems = await self._problems()
        if not problems:
            return json_response({"status": "ready"})
        reason = "; ".join(f"{part}: {problem}" for part, problem in sorted(problems.items()))
        answer = {"status": "not ready", "reason": reason, "problems": problems}
        return json_response(answer, 503, {"Retry-After": "1"})

    async def metrics(self, _: Request) -> Response:
        """The numbers of all processes in the Prometheus text format."""
        text = await asyncio.wait_for(self._actors.ask(METRICS_HUB, "render"), ANSWER_WITHIN_S)
        return Response(text, media_type=None, headers={"Content-Type": METRICS_TYPE})

    async def _problems(self) -> dict[str, str]:
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._checked is None or now_s - self._checked[0] > READY_CACHED_S:
                self._checked = (now_s, await self._ask())
            return self._checked[1]

    async def _ask(self) -> dict[str, str]:
        try:
            answer: dict[str, str] = await asyncio.wait_for(
                self._actors.ask(SUPERVISOR, "check"), ANSWER_WITHIN_S
            )
        except TimeoutError:
            return {"supervisor": "does not answer"}
        return answer
