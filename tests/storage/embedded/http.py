"""Asking the embedded ClickHouse over plain HTTP, as curl does."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

import urllib3
from pydantic import SecretStr

POOL = urllib3.PoolManager(maxsize=16, retries=False)


def address(url: SecretStr) -> str:
    parts = urlsplit(url.get_secret_value())
    return f"http://{parts.hostname}:{parts.port}/"


def credentials(url: SecretStr) -> dict[str, str]:
    parts = urlsplit(url.get_secret_value())
    assert parts.username is not None
    assert parts.password is not None
    return {"X-ClickHouse-User": parts.username, "X-ClickHouse-Key": parts.password}


def ask(
    url: SecretStr,
    query: str = "",
    *,
    body: bytes | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    **parameters: Any,
) -> urllib3.BaseHTTPResponse:
    """One request; `parameters` go into the URL beside the query."""
    fields = {"database": urlsplit(url.get_secret_value()).path.strip("/"), **parameters}
    if query:
        fields["query"] = query
    return POOL.request(
        method,
        address(url) + "?" + urlencode({k: str(v) for k, v in fields.items()}),
        headers=credentials(url) if headers is None else headers,
        body=body,
        timeout=30,
    )


def answer(url: SecretStr, query: str = "", **rest: Any) -> str:
    """The text of a successful answer."""
    response = ask(url, query, **rest)
    assert response.status == 200, response.data.decode()
    return response.data.decode()


@contextmanager
def reading(url: SecretStr, sql: str, **parameters: Any) -> Iterator[IO[bytes]]:
    """The raw bytes of an answer as they arrive; leaving the context breaks the connection."""
    parts = urlsplit(url.get_secret_value())
    assert parts.port is not None
    user = credentials(url)
    fields = {"user": user["X-ClickHouse-User"], "password": user["X-ClickHouse-Key"], **parameters}
    with socket.create_connection(("127.0.0.1", parts.port), timeout=30) as connection:
        head = f"POST /?{urlencode(fields)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: {len(sql)}\r\n\r\n{sql}".encode())
        with connection.makefile("rb", buffering=0) as stream:
            yield stream
