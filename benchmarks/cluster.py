"""Two nodes take logs, and lose none when one of them fails: `python -m benchmarks.cluster`.

Loads both nodes over HTTP, kills every process of the second with -9, starts it again, and asks: were all
acknowledged logs stored, each once; does the second node take logs over HTTP and TCP again; does
`logray down` leave nothing but Ray? Needs root: the nodes are network namespaces.
"""

import argparse
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import requests

from benchmarks.corpus import build_requests
from benchmarks.http_load import HttpLoad, Outcome, Plan
from benchmarks.ledger import Ledger, Verdict, wait_until_stored
from benchmarks.report import show
from benchmarks.two_nodes import HTTP_PORT, TCP_PORT, Node, two_nodes
from storage.clickhouse import ClickHouse

DEAD_S: Final = 12.0  # long enough for the service to see that the node is gone, and to go on without it
READY_WITHIN_S: Final = 90.0
LOOK_AGAIN_S: Final = 0.5
CONNECTIONS: Final = 8
OF_RAY: Final = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::IDLE")


class Sending(threading.Thread):
    """Logs for one node at a rate, until the time is over."""

    def __init__(self, node: Node, api_key: str, rate: float, duration_s: float) -> None:
        super().__init__()
        self.ledger = Ledger(secrets.randbelow(1 << 16))
        plan = Plan(node.address, HTTP_PORT, api_key, rate, duration_s, CONNECTIONS)
        self._load = HttpLoad(plan, build_requests(8), self.ledger)
        self.outcome = Outcome()

    def run(self) -> None:
        self.outcome = self._load.run()

    def found(self, store: ClickHouse) -> dict[str, Any]:
        """What became of them."""
        verdict: Verdict = self.ledger.check(store)
        of_load = {"refused": dict(self.outcome.refusals), "failed": self.outcome.failed}
        return {
            "acknowledged": verdict.acknowledged,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            **of_load,
        }


def main() -> int:
    """Run from the command line; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description="Two nodes, one of which fails.")
    parser.add_argument("--rate", type=float, default=15_000, help="logs a second for each node")
    parser.add_argument("--duration", type=float, default=60, help="seconds")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    with two_nodes() as ((head, other), store, key):
        senders = [Sending(node, key, arguments.rate, arguments.duration) for node in (head, other)]
        for sender in senders:
            sender.start()
        time.sleep(arguments.duration / 3)  # the course of events: nothing is waited for
        other.kill()
        time.sleep(DEAD_S)
        other.start_ray(head)
        for sender in senders:
            sender.join()
        stored_s = wait_until_stored(lambda: all(sender.ledger.all_stored(store) for sender in senders))
        result = {
            "drained_after_s": round(stored_s, 2),
            "through_the_first_node": senders[0].found(store),
            "through_the_second_node": senders[1].found(store),
            "takes_http_again": within(READY_WITHIN_S, lambda: takes_http(other, key)),
            "takes_tcp_again": within(READY_WITHIN_S, lambda: takes_tcp(other, store)),
            "is_ready_again": within(READY_WITHIN_S, lambda: "Logray is ready" in head.logray("status")),
        }
        head.logray("down", "--ray-address", "auto")
        commands = [command for node in (head, other) for command in node.processes().values()]
        left = [command for command in commands if "ray::" in command and not command.startswith(OF_RAY)]
        result["left_after_down"] = [*left, *(command for command in commands if "haproxy" in command)]
    return judge(result)


def judge(result: dict[str, Any]) -> int:
    """Print it; the exit code."""
    through = [result["through_the_first_node"], result["through_the_second_node"]]
    broken = [name for name in ("takes_http_again", "takes_tcp_again", "is_ready_again") if not result[name]]
    if any(each["lost"] or each["doubled"] or not each["acknowledged"] for each in through):
        broken.append("acknowledged = stored, each exactly once")
    if result["left_after_down"]:
        broken.append("nothing is left after down")
    show(result, f"NOT KEPT: {'; '.join(broken)}" if broken else "every promise kept")
    return 1 if broken else 0


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it came to hold in that time."""
    deadline_s = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True


def takes_http(node: Node, api_key: str) -> bool:
    """Whether a log is acknowledged."""
    url, headers = f"http://{node.address}:{HTTP_PORT}/api/v1/logs", {"Authorization": f"Bearer {api_key}"}
    log: dict[str, str | float] = {"timestamp": time.time(), "message": "is anybody there"}
    try:
        return requests.post(url, json=log, headers=headers, timeout=5).status_code == 202
    except requests.RequestException:
        return False


def takes_tcp(node: Node, store: ClickHouse) -> bool:
    """Whether a line of syslog was stored."""
    word = f"tcp{secrets.token_hex(8)}"
    try:
        with socket.create_connection((node.address, TCP_PORT), 5) as connection:
            connection.sendall(f"<134>1 2026-01-01T00:00:00Z web app - - - {word}\n".encode())
    except OSError:
        return False
    sql = "SELECT count() FROM logs WHERE message = {word:String}"
    return within(5, lambda: store.query(sql, {"word": word}).rows == [(1,)])


if __name__ == "__main__":
    sys.exit(main())
