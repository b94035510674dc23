"""Who may call what: API keys, anonymous use on loopback, and browsers on foreign pages.

Bound to loopback, everything but ingest is open to callers without a key. Bound to any other address,
everything but `/healthz` needs one. A request that a browser sends for a foreign page is refused
without a key: its Origin is not ours, or (DNS rebinding) its Host is not a name of the loopback.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from core.errors import Forbidden, Unauthorized

OPEN_TO_ALL: Final = frozenset({"/healthz"})
# Paths that bring logs in, and therefore need a key everywhere: method and prefix.
INGEST: Final = (("POST", "/api/v1/logs"), ("POST", "/api/v1/dead-letters/replay"))


def hash_key(key: str) -> bytes:
    """The stored form of an API key: SHA-256, enough for a key of 128 random bits or more."""
    return hashlib.sha256(key.encode()).digest()


def is_loopback(host: str) -> bool:
    """Whether an address or host name is the machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one service: hashes of the keys, and the address it is bound to."""

    key_hashes: tuple[bytes, ...]
    bound_host: str

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Let a request pass, or raise Unauthorized or Forbidden. Header names are lower case."""
        if path in OPEN_TO_ALL:
            return
        key = _presented_key(headers)
        if key is not None:
            if not self._is_known(key):
                raise Unauthorized("the API key is not known")
            return
        if not is_loopback(self.bound_host) or _is_ingest(method, path):
            raise Unauthorized("an API key is required: Authorization: Bearer KEY")
        _refuse_foreign_pages(headers)

    def _is_known(self, key: str) -> bool:
        presented = hash_key(key)
        # Every key is compared, so that the time does not tell which one came close.
        return sum(hmac.compare_digest(presented, known) for known in self.key_hashes) > 0


def _presented_key(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("cannot read the Authorization header: it must be Bearer KEY")
        return key.strip()
    return headers.get("x-api-key")


def _is_ingest(method: str, path: str) -> bool:
    return any(method == verb and path.rstrip("/") == prefix for verb, prefix in INGEST)


def _refuse_foreign_pages(headers: Mapping[str, str]) -> None:
    host = headers.get("host", "")
    if host and not is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise Forbidden(f"without an API key the Host must be the loopback, not {host[:100]}")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Forbidden("a page of another origin needs an API key")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Forbidden("a page of another site needs an API key")
