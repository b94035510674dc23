"""What the tests of a running instance say to it over HTTP."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

T = TypeVar("T")
PATIENCE_S = 20.0


def wait_until(found: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """Ask again until there is an answer, or fail saying what was waited for."""
    deadline_s = time.monotonic() + patience_s
    pause = iter([0.02, 0.05, 0.1])
    while True:
        answer = found()
        if answer is not None:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")
        time.sleep(next(pause, 0.2))


@dataclass(frozen=True)
class Client:
    """A user of one instance."""

    url: str
    api_key: str

    def marker(self) -> str:
        """A word that no other log contains."""
        return f"m{uuid.uuid4().hex}"

    def post(self, body: bytes, headers: dict[str, str]) -> requests.Response:
        authorized = {"Authorization": f"Bearer {self.api_key}", **headers}
        return requests.post(f"{self.url}/api/v1/logs", data=body, headers=authorized, timeout=30)

    def ingest(self, logs: list[Any]) -> requests.Response:
        return self.post(json.dumps(logs).encode(), {"Content-Type": "application/json"})

    def search(self, query: str, **options: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self.url}/api/v1/search", json={"query": query, "limit": 1000, **options}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for(self, query: str, count: int) -> list[dict[str, Any]]:
        """The logs that match, once there are that many."""

        def enough() -> list[dict[str, Any]] | None:
            found = self.search(query)
            return found["logs"] if found["total"] >= count else None

        logs = wait_until(enough, f"{count} logs that match {query}")
        assert len(logs) == count
        return logs

    def get(self, path: str, **parameters: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", params=parameters, timeout=30)

    def wait_for_dead_letter(self, marker: str) -> dict[str, Any]:
        """The newest dead letter whose raw bytes contain the marker."""

        def kept() -> dict[str, Any] | None:
            letters = self.get("/api/v1/dead-letters", limit="200").json()["dead_letters"]
            return next((letter for letter in letters if marker in letter["raw"]), None)

        return wait_until(kept, f"a dead letter with {marker}")
