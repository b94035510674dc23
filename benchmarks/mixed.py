"""TCP beside the HTTP load: JSON lines and RFC 5424 into the same instance, each with a ledger of its own."""

import threading
from typing import Final

from benchmarks.instance import Instance
from benchmarks.tcp import all_stored, new_load, verdict

KINDS: Final = ("json", "rfc5424")
CONNECTIONS: Final = 2  # of each kind


class TcpBeside:
    """One load a kind, as fast as the service reads."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._loads = {kind: new_load(instance, kind) for kind in KINDS}
        self._took_s = dict.fromkeys(KINDS, 0.0)
        self._threads: list[threading.Thread] = []

    @property
    def sent(self) -> int:
        """Lines of all kinds."""
        return sum(load.sent for load in self._loads.values())

    def start(self, duration_s: float) -> None:
        """Send for some seconds, in threads of its own."""
        for kind in KINDS:
            thread = threading.Thread(target=self._send, args=(kind, duration_s))
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Wait until every line was taken."""
        for thread in self._threads:
            thread.join()

    def all_stored(self) -> bool:
        """Whether the store shows as many lines as were sent."""
        return all(all_stored(self._instance, load) for load in self._loads.values())

    def verdicts(self) -> dict[str, dict[str, int]]:
        """By kind: lines a second, and the ledger."""
        return {
            kind: {"lines_per_s": round(load.sent / self._took_s[kind]), **verdict(self._instance, load)}
            for kind, load in self._loads.items()
        }

    def _send(self, kind: str, duration_s: float) -> None:
        self._took_s[kind] = self._loads[kind].send(duration_s, CONNECTIONS)
