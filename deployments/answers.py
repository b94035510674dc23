"""JSON answers, and the one place where an exception becomes a status code."""

import logging
from typing import Any

import orjson
from ray.exceptions import RayActorError, RayTaskError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core.errors import LograyError, MalformedBody, Overloaded, StorageUnavailable, TooLarge, WalError

log = logging.getLogger(__name__)
JSON = "application/json"
RETRY_AFTER_S = 1


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON; bytes are taken as finished JSON."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, JSON)


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body; TooLarge as soon as it passes the bound, MalformedBody when the client goes away."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise TooLarge(f"the body has {declared} bytes, the limit is {bytes_max}")
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                raise TooLarge(f"the body has more than {bytes_max} bytes")
            chunks.append(chunk)
    except ClientDisconnect:
        raise MalformedBody("the connection ended before the body did", size) from None
    return b"".join(chunks)


async def read_json(request: Request, bytes_max: int) -> Any:
    """The body as JSON whatever its Content-Type; MalformedBody with the position otherwise."""
    body = await read_body(request, bytes_max)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"cannot parse the body as JSON: {error.msg}", error.pos) from None


def error_response(request: Request, error: Exception) -> Response:
    """The answer to an exception: its status and `{"error": …}` with the fields of its class."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, RayActorError):
        # The actor is being restarted: the same request will do in a moment.
        cause = StorageUnavailable("a part of the service is restarting, try again")
    if isinstance(cause, HTTPException):
        return json_response({"error": cause.detail}, cause.status_code)
    if not isinstance(cause, LograyError):
        log.error("cannot answer %s %s", request.method, request.url.path, exc_info=error)
        return json_response({"error": "internal error; the service's log has the details"}, 500)
    headers = {}
    if isinstance(cause, Overloaded):
        headers["Retry-After"] = str(cause.retry_after_s)
    elif isinstance(cause, StorageUnavailable | WalError):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if cause.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_response({"error": str(cause), **cause.detail()}, cause.status, headers)
