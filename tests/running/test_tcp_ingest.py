"""The listener of a running instance: from a socket to the search, and back after a crash."""

import os
import signal
import socket
import subprocess

from benchmarks.instance import Instance
from cli.processes import processes_of
from tests.running.client import Client, wait_until

LISTENER = "TcpListenerActor"


def send(instance: Instance, line: str) -> None:
    subprocess.run(
        ["nc", "-N", instance.host, str(instance.tcp_port)],
        input=f"{line}\n",
        text=True,
        check=True,
        timeout=10,
    )


def test_syslog_and_json_lines_are_found_by_a_search(instance: Instance, client: Client) -> None:
    marker = client.marker()
    send(instance, f"<14>1 2024-01-15T10:00:00Z myhost api - - - Request processed {marker}")
    send(
        instance,
        f'{{"timestamp": "2024-01-15T10:00:00Z", "level": "error", "message": "Hello {marker}", "n": 7}}',
    )
    hello, processed = sorted(client.wait_for(marker, 2), key=lambda log: str(log["message"]))
    assert (processed["service"], processed["hostname"], processed["facility"]) == ("api", "myhost", "user")
    assert (hello["level"], hello["n"]) == ("error", 7)
    assert {(log["_method"], log["_source_ip"]) for log in (hello, processed)} == {("tcp", "127.0.0.1")}


def test_a_line_that_is_neither_is_listed_with_its_reason(instance: Instance, client: Client) -> None:
    marker = client.marker()
    send(instance, f"neither {marker}")
    letter = client.wait_for_dead_letter(marker)
    assert (letter["reason"], letter["raw"]) == ("line: neither syslog nor JSON", f"neither {marker}")


def test_the_numbers_are_in_the_metrics(instance: Instance, client: Client) -> None:
    send(instance, "<14>one more")
    names = ("logs_ingested_total", "received_bytes_total")

    def shown() -> list[str] | None:
        lines = client.get("/metrics").text.splitlines()
        found = [line for line in lines for name in names if line.startswith(f'{name}{{method="tcp"}}')]
        return found if len(found) == len(names) else None

    assert all(float(line.split()[-1]) > 0 for line in wait_until(shown, "the listener's metrics"))


def test_a_listener_that_is_killed_comes_back(instance: Instance, client: Client) -> None:
    (killed,) = listeners(instance)
    os.kill(killed, signal.SIGKILL)

    def back() -> bool | None:
        return accepts(instance) if set(listeners(instance)) - {killed} else None

    wait_until(back, "the listener to come back", 60)
    marker = client.marker()
    send(instance, f"<14>1 2024-01-15T10:00:00Z h a - - - again {marker}")
    client.wait_for(marker, 1)


def listeners(instance: Instance) -> list[int]:
    return [process.pid for process in processes_of(instance.instance_id) if LISTENER in process.title]


def accepts(instance: Instance) -> bool | None:
    try:
        socket.create_connection((instance.host, instance.tcp_port), 5).close()
    except OSError:
        return None
    return True
