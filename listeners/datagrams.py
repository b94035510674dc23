"""Syslog over UDP (RFC 5426): each datagram is one message."""

import asyncio
import socket
from typing import Final

from core.metric_names import RECEIVED_BYTES, UDP_REFUSED
from core.metrics import Metrics
from listeners.intake import Intake
from listeners.sockets import Networks, clean_ip

METHOD: Final = "udp"
DATAGRAM_BYTES_MAX: Final = 65_535
READS_AT_ONCE: Final = 256  # then the connections have their turn
BURSTS_AT_END: Final = 32
_TERMINATORS: Final = b"\r\n\0"


class Datagrams:
    """Reads one bound socket; while the intake is full the kernel holds, then drops, what comes."""

    def __init__(self, bound: socket.socket, networks: Networks, intake: Intake, metrics: Metrics) -> None:
        self._socket, self._networks = bound, networks
        self._intake, self._metrics = intake, metrics
        self._labels = (METHOD,)
        self.pause(False)

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on."""
        if self._socket.fileno() < 0:
            return
        loop = asyncio.get_running_loop()
        if paused:
            loop.remove_reader(self._socket)
        else:
            loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Take in what the kernel holds, up to some bursts, and close the socket."""
        for _ in range(BURSTS_AT_END):
            self._readable()
        self.pause(True)
        self._socket.close()

    def _readable(self) -> None:
        senders: dict[str, list[bytes]] = {}
        size = refused = 0
        for _ in range(READS_AT_ONCE):
            try:
                datagram, peer = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:  # nothing more, or the answer to something that was never sent
                break
            source_ip = clean_ip(peer)
            if not self._networks.allow(source_ip):
                refused += 1
                continue
            size += len(datagram)
            message = datagram.strip(_TERMINATORS)
            if message:
                senders.setdefault(source_ip, []).append(message)
        if refused:
            self._metrics.count(UDP_REFUSED, refused)
        if size:
            self._metrics.count(RECEIVED_BYTES, size, self._labels)
        for source_ip, messages in senders.items():
            self._intake.add(messages, source_ip)
