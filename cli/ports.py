"""Ports: is one free, and free ones for everything that nobody asks for by number."""

import random
import socket
import time
from collections.abc import Collection

from cli.instance import LaunchError

# Below Linux' ephemeral range (32768 and up), where outgoing connections take ports at any moment.
CANDIDATES = range(20_000, 32_000)
ATTEMPTS_MAX = 2_000
# A process that was just killed holds its ports for a moment after it can no longer be seen.
RELEASE_WITHIN_S = 2.0
LOOK_AGAIN_S = 0.05


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    return _refusal(host, port) is None


def _refusal(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose old connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def require_free(host: str, port: int, setting: str) -> None:
    """Raise LaunchError, naming the setting to change, when the address cannot be listened on."""
    deadline_s = time.monotonic() + RELEASE_WITHIN_S
    while (reason := _refusal(host, port)) is not None:
        if time.monotonic() > deadline_s:
            raise LaunchError(f"cannot listen on {host}:{port}: {reason} (setting {setting})")
        time.sleep(LOOK_AGAIN_S)


def free_ports(count: int, promised: Collection[int] = ()) -> list[int]:
    """That many different ports that are free on loopback now and not promised. Raises LaunchError."""
    found: set[int] = set()
    for _ in range(ATTEMPTS_MAX):
        if len(found) == count:
            return sorted(found)
        port = random.choice(CANDIDATES)  # noqa: S311 - only to stay out of each other's way
        if port not in promised and is_free("127.0.0.1", port):
            found.add(port)
    raise LaunchError(f"cannot find {count} free ports between {CANDIDATES.start} and {CANDIDATES.stop}")


def free_block(size: int, promised: Collection[int] = ()) -> int:
    """The first of that many neighbouring free ports, none of them promised. Raises LaunchError."""
    for _ in range(ATTEMPTS_MAX // 10):
        first = random.choice(CANDIDATES[:-size])  # noqa: S311 - only to stay out of each other's way
        block = range(first, first + size)
        if not any(port in block for port in promised) and all(is_free("127.0.0.1", port) for port in block):
            return first
    raise LaunchError(f"cannot find {size} neighbouring free ports")
