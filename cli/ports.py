"""Ports: is one free, and free ones for everything that nobody asks for by number."""

import random
import socket

from cli.instance import LaunchError

# Below Linux' ephemeral range (32768 and up), where outgoing connections take ports at any moment.
CANDIDATES = range(20_000, 32_000)
ATTEMPTS_MAX = 2_000


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose old connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(host: str, port: int, setting: str) -> None:
    """Raise LaunchError, naming the setting to change, when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LaunchError(f"cannot listen on {host}:{port}: {reason} (setting {setting})") from None


def free_ports(count: int) -> list[int]:
    """That many different ports that are free on loopback now. Raises LaunchError."""
    found: set[int] = set()
    for _ in range(ATTEMPTS_MAX):
        if len(found) == count:
            return sorted(found)
        port = random.choice(CANDIDATES)  # noqa: S311 - only to stay out of each other's way
        if is_free("127.0.0.1", port):
            found.add(port)
    raise LaunchError(f"cannot find {count} free ports between {CANDIDATES.start} and {CANDIDATES.stop}")


def free_block(size: int) -> int:
    """The first of that many neighbouring free ports. Raises LaunchError."""
    for _ in range(ATTEMPTS_MAX // 10):
        first = random.choice(CANDIDATES[:-size])  # noqa: S311 - only to stay out of each other's way
        if all(is_free("127.0.0.1", port) for port in range(first, first + size)):
            return first
    raise LaunchError(f"cannot find {size} neighbouring free ports")
