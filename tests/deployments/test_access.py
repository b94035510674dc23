"""Keys, anonymous use on loopback, and browsers on foreign pages."""

import pytest

from core.errors import Forbidden, LograyError, Unauthorized
from deployments.access import Access, hash_key, is_loopback

LOCAL = Access((hash_key("right"),), "127.0.0.1")
PUBLIC = Access((hash_key("right"),), "0.0.0.0")
HOST = {"host": "localhost:8080"}
KEY = {**HOST, "authorization": "Bearer right"}


@pytest.mark.parametrize(
    ("access", "method", "path", "headers", "refusal"),
    [
        pytest.param(LOCAL, "POST", "/api/v1/logs", HOST, Unauthorized, id="ingest needs a key on loopback"),
        pytest.param(LOCAL, "POST", "/api/v1/logs/", HOST, Unauthorized, id="with a slash at the end too"),
        pytest.param(LOCAL, "POST", "/api/v1/dead-letters/replay", HOST, Unauthorized, id="replay is ingest"),
        pytest.param(LOCAL, "POST", "/api/v1/logs", KEY, None, id="bearer"),
        pytest.param(LOCAL, "POST", "/api/v1/logs", {**HOST, "x-api-key": "right"}, None, id="x-api-key"),
        pytest.param(LOCAL, "POST", "/api/v1/logs", {"authorization": "bearer right"}, None, id="lower case"),
        pytest.param(LOCAL, "POST", "/api/v1/logs", {"x-api-key": "wrong"}, Unauthorized, id="wrong key"),
        pytest.param(
            LOCAL, "POST", "/api/v1/search", {"x-api-key": "wrong"}, Unauthorized, id="wrong anywhere"
        ),
        pytest.param(LOCAL, "POST", "/api/v1/search", {"authorization": "Basic x"}, Unauthorized, id="basic"),
        pytest.param(LOCAL, "POST", "/api/v1/search", HOST, None, id="search is open on loopback"),
        pytest.param(LOCAL, "GET", "/metrics", HOST, None, id="metrics are open on loopback"),
        pytest.param(PUBLIC, "POST", "/api/v1/search", HOST, Unauthorized, id="search needs a key elsewhere"),
        pytest.param(PUBLIC, "GET", "/readyz", HOST, Unauthorized, id="readyz needs a key elsewhere"),
        pytest.param(PUBLIC, "GET", "/healthz", HOST, None, id="healthz is always open"),
        pytest.param(PUBLIC, "POST", "/api/v1/search", KEY, None, id="search with a key"),
        pytest.param(
            LOCAL,
            "POST",
            "/api/v1/search",
            {**HOST, "origin": "http://evil.example"},
            Forbidden,
            id="foreign",
        ),
        pytest.param(
            LOCAL, "POST", "/api/v1/search", {**HOST, "origin": "null"}, Forbidden, id="a sandboxed page"
        ),
        pytest.param(
            LOCAL, "POST", "/api/v1/search", {**HOST, "origin": "http://localhost:8080"}, None, id="own page"
        ),
        pytest.param(
            LOCAL, "GET", "/metrics", {**HOST, "sec-fetch-site": "cross-site"}, Forbidden, id="an image tag"
        ),
        pytest.param(
            LOCAL,
            "POST",
            "/api/v1/search",
            {**KEY, "origin": "http://dash.example"},
            None,
            id="foreign with key",
        ),
        pytest.param(
            LOCAL,
            "GET",
            "/metrics",
            {"host": "evil.example:8080"},
            Forbidden,
            id="a name bound to the loopback",
        ),
    ],
)
def test_who_may_call_what(
    access: Access, method: str, path: str, headers: dict[str, str], refusal: type[LograyError] | None
) -> None:
    if refusal is None:
        access.check(method, path, headers)
    else:
        with pytest.raises(refusal):
            access.check(method, path, headers)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("x", False),
    ],
)
def test_the_loopback_is_told_from_other_hosts(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
