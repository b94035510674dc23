"""A request of ClickHouse's HTTP interface, read: who asks, for which statement, with which settings."""

import hmac
import uuid
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from storage.embedded.connections import Session
from storage.embedded.endpoint import USER

PARAMETER_PREFIX: Final = "param_"
# URL parameters that speak to the interface itself; all others are settings.
# https://clickhouse.com/docs/interfaces/http
RESERVED: Final = frozenset(
    {
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "query_id",
        "stacktrace",
        "role",
        "compress",
        "decompress",
        "session_id",
        "session_timeout",
        "session_check",
        "session_close",
        "wait_end_of_query",
        "buffer_size",
        "client_protocol_version",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "add_http_cors_header",
        "log_comment",
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the URL and the headers ask for; the statement itself may stand in the body."""

    query: bytes
    session: Session
    default_format: str
    whole: bool  # wait_end_of_query: the answer begins when the query has ended
    encoding: str


def read_question(method: str, url: Mapping[str, str], headers: Mapping[str, str]) -> Question:
    """Sort the URL parameters into query, `param_…` values and settings."""
    settings = {
        name: value
        for name, value in url.items()
        if name not in RESERVED and not name.startswith(PARAMETER_PREFIX)
    }
    if method == "GET" and settings.get("readonly", "0") == "0":
        settings["readonly"] = "2"  # a link must not change anything
    # `readonly` forbids later settings, so it is the last.
    if "readonly" in settings:
        settings["readonly"] = settings.pop("readonly")
    return Question(
        query=url.get("query", "").encode("utf-8", "surrogateescape"),
        session=Session(
            database=url.get("database") or headers.get("X-ClickHouse-Database") or "default",
            settings=settings,
            parameters={
                name.removeprefix(PARAMETER_PREFIX): value
                for name, value in url.items()
                if name.startswith(PARAMETER_PREFIX)
            },
            query_id=url.get("query_id") or str(uuid.uuid4()),
        ),
        default_format=url.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        whole=url.get("wait_end_of_query") == "1",
        encoding=headers.get("Content-Encoding", ""),
    )


def allowed(url: Mapping[str, str], headers: Mapping[str, str], password: str) -> bool:
    """Whether it names the user and the password: basic auth, X-ClickHouse headers or URL parameters."""
    user, given = _credentials(url, headers)
    # Both are compared whatever the first says, so that time tells nothing.
    right_user = hmac.compare_digest(_bytes(user), _bytes(USER))
    right_password = hmac.compare_digest(_bytes(given), _bytes(password))
    return right_user and right_password


def _credentials(url: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", ""), headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return user, password
    return url.get("user", ""), url.get("password", "")


def _bytes(text: str) -> bytes:
    # Bytes of a header that are no UTF-8 arrive as surrogates.
    return text.encode("utf-8", "surrogateescape")
