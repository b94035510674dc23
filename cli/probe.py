"""Ask a running instance over HTTP how it is."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, 0 when nobody answers, and the body."""

    status: int
    body: bytes

    @property
    def reason(self) -> str:
        """One line that says what is wrong."""
        text = " ".join(self.body.decode(errors="replace").split())
        try:
            content = json.loads(text)
        except ValueError:
            return text[:300]
        if isinstance(content, dict):
            return str(content.get("reason") or content.get("error") or text)[:300]
        return text[:300]


def base_url(address: str) -> str:
    """The URL that reaches a server bound to `host:port` from this machine."""
    host, _, port = address.rpartition(":")
    reachable = WILDCARDS.get(host, f"[{host}]" if ":" in host and not host.startswith("[") else host)
    return f"http://{reachable}:{port}"


def probe(url: str, timeout_s: float, api_key: str | None = None) -> Answer:
    """GET it, past any proxy that the environment names."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:  # noqa: S310
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return Answer(0, f"no answer from {url}: {reason}".encode())
