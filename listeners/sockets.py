"""Sockets of the listeners: bound with all their options, and asked for what the kernel still holds."""

import array
import fcntl
import ipaddress
import resource
import socket
import termios
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from core.errors import SettingsError
from core.limits import MIB
from core.settings import TcpSettings

# A burst of datagrams waits here while a batch is read; the kernel grants what its own bound allows.
DATAGRAM_BUFFER_BYTES: Final = 8 * MIB
BACKLOG: Final = 1024  # connections that wait to be accepted
# Descriptors that a process needs beside its connections: Ray's, Arrow's, the WAL's.
OTHER_DESCRIPTORS: Final = 256


class Address(NamedTuple):
    """Where a listener listens."""

    host: str
    port: int


class Networks:
    """The networks whose senders are heard; none means all."""

    def __init__(self, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._networks = tuple(networks)

    def allow(self, source_ip: str) -> bool:
        """Whether an address, as clean_ip gives it, is in one of them."""
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(source_ip)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def clean_ip(peer: Any) -> str:
    """The address of a socket's peer, empty when unknown: IPv4 over IPv6 as IPv4, no interface."""
    if not peer:
        return ""
    host = str(peer[0]).partition("%")[0]
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def bind(host: str, port: int, kind: socket.SocketKind, tcp: TcpSettings) -> list[socket.socket]:
    """A socket for each address of a host name, TCP's listening. Raises SettingsError, one line."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
        addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
        for family, address in addresses:
            bound = socket.socket(family, kind)
            sockets.append(bound)
            if family == socket.AF_INET6:
                # `::` alone takes IPv4 as well; beside 0.0.0.0 each has a socket of its own.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, len(addresses) > 1)
            _set_options(bound, kind, tcp)
            bound.bind(address)
            if kind == socket.SOCK_STREAM:
                bound.listen(BACKLOG)
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return sockets


def _set_options(bound: socket.socket, kind: socket.SocketKind, tcp: TcpSettings) -> None:
    bound.setblocking(False)
    if tcp.workers > 1:
        # Only then: else two instances on one port would each get half of the connections and say nothing.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if kind == socket.SOCK_DGRAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAM_BUFFER_BYTES)
        return
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is set here is set on every connection that is accepted.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, tcp.keepalive_idle_s)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, tcp.keepalive_interval_s)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, tcp.keepalive_probes)


def unread_bytes(descriptor: int) -> int:
    """Bytes that arrived on a socket and were not read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def make_room(connections: int) -> int:
    """Raise the process's bound of descriptors for so many connections; return how many it allows now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (
        connections if soft == resource.RLIM_INFINITY else min(connections, max(soft - OTHER_DESCRIPTORS, 1))
    )
