"""The TCP listener: syslog and JSON lines over TCP, TLS and UDP, on their way to the partition writers.

One process of it runs for each configured worker on every node; they share the ports. The constructor of the
actor begins to listen, since after a crash Ray calls nothing else.
"""

from __future__ import annotations  # Ray's handle is generic to the type checker alone

import asyncio
import gc
import logging
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from zoneinfo import ZoneInfo

from ray.actor import ActorHandle

from actors.haproxy_refusals import refusals_of_this_node
from actors.metrics_reporter import MetricsReporter
from actors.named import NamedActors
from actors.placement import actor_options, start_actor, tcp_listener_name
from actors.writer_directory import WriterDirectory
from core.clock import Clock, SystemClock
from core.errors import SettingsError
from core.metrics import Metrics, Snapshot
from core.settings import Settings, TcpSettings, TlsSettings, UdpSettings
from listeners.acceptor import Acceptor
from listeners.connections import METHOD as TCP
from listeners.connections import Connections
from listeners.datagrams import METHOD as UDP
from listeners.datagrams import Datagrams
from listeners.intake import Intake, Writers
from listeners.messages import MessageReader
from listeners.sockets import Address, Networks, bind
from listeners.tls import TlsIdentity

CPUS: Final = 0.1
CALLS_MAX: Final = 16  # observe, drain: no log comes by a call
TAKE_IN_S: Final = 2.0  # of a drain, for what the kernel holds: some senders never pause
LISTEN_AGAIN_S: Final = 1.0
CERTIFICATE_CHECK_S: Final = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a listener listens; empty for what is off."""

    tcp: tuple[Address, ...] = ()
    tls: tuple[Address, ...] = ()
    udp: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerState:
    """A listener's numbers: connections, bytes read and not on disk, whether it has stopped reading."""

    addresses: Addresses
    connections: int
    unfinished_bytes: int
    unsent_bytes: int
    paused: bool
    last_error: str


class TcpListener:
    """The sockets of one process, their connections, and the intakes behind them."""

    def __init__(
        self,
        tcp: TcpSettings,
        tls: TlsSettings,
        udp: UdpSettings,
        writers: Writers,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._tcp, self._tls, self._udp = tcp, tls, udp
        self._metrics, self._clock = metrics, clock
        self._connections = Connections(tcp, metrics, clock)
        self._intake = self._make_intake(TCP, writers, self._connections.pause)
        self._connections.intake = self._intake
        self._datagram_intake = self._make_intake(UDP, writers, self._pause_datagrams)
        self._datagrams: list[Datagrams] = []
        self._acceptors: list[Acceptor] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.addresses = Addresses()

    async def start(self) -> Addresses:
        """Listen on everything that is on. Raises SettingsError, and then listens on nothing."""
        identity = TlsIdentity(self._tls) if self._tls.enabled else None
        plain, secured, datagrams = self._bind(identity is not None)
        self._acceptors = [Acceptor(bound, None, self._connections, self._metrics) for bound in plain]
        if identity is not None:
            self._acceptors += [
                Acceptor(bound, identity.context, self._connections, self._metrics) for bound in secured
            ]
            self._begin(self._watch_certificate(identity))
        networks = Networks(self._tcp.allowed_networks)
        self._datagrams = [
            Datagrams(bound, networks, self._datagram_intake, self._metrics) for bound in datagrams
        ]
        if datagrams:
            self._begin(self._datagram_intake.run())
        self._begin(self._intake.run())
        self._begin(self._connections.run())
        self.addresses = Addresses(_addresses(plain), _addresses(secured), _addresses(datagrams))
        log.info("listening: %s", self.addresses)
        return self.addresses

    async def drain(self, timeout_s: float) -> bool:
        """Stop accepting, take in what was received, write it; False when time ran out before."""
        for acceptor in self._acceptors:
            acceptor.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self._connections.take_in_received(min(TAKE_IN_S, timeout_s / 2))
                for datagrams in self._datagrams:
                    datagrams.close()
                await self._intake.flush()
                await self._datagram_intake.flush()
        except TimeoutError:
            log.error("cannot write %d bytes that were received: no time left", self._unsent_bytes)
            return False
        return True

    async def close(self) -> None:
        """Let go of everything; what is not on disk is lost, so drain first."""
        for acceptor in self._acceptors:
            acceptor.close()
        await self._connections.take_in_received(0)
        for datagrams in self._datagrams:
            datagrams.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._intake.close()
        await self._datagram_intake.close()

    def observe(self) -> ListenerState:
        """The numbers of this moment."""
        return ListenerState(
            self.addresses,
            len(self._connections),
            self._connections.unfinished_bytes,
            self._unsent_bytes,
            self._intake.full or self._datagram_intake.full,
            self._intake.last_error or self._datagram_intake.last_error,
        )

    @property
    def _unsent_bytes(self) -> int:
        return self._intake.unsent_bytes + self._datagram_intake.unsent_bytes

    def _make_intake(self, method: str, writers: Writers, paused: Any) -> Intake:
        zone = UTC if self._tcp.time_zone == "UTC" else ZoneInfo(self._tcp.time_zone)
        reader = MessageReader(method, zone, plain_lines=self._tcp.plain_lines)
        return Intake(method, reader, writers, self._tcp.unsent_bytes_max, self._metrics, self._clock, paused)

    def _bind(self, tls: bool) -> tuple[list[socket.socket], list[socket.socket], list[socket.socket]]:
        wanted = (
            (self._tcp.host, self._tcp.port, socket.SOCK_STREAM),
            (self._tls.host, self._tls.port if tls else 0, socket.SOCK_STREAM),
            (self._udp.host, self._udp.port, socket.SOCK_DGRAM),
        )
        bound: list[list[socket.socket]] = []
        try:
            for host, port, kind in wanted:
                bound.append(bind(host, port, kind, self._tcp) if port else [])
        except SettingsError:
            for opened in bound:
                for one in opened:
                    one.close()
            raise
        return bound[0], bound[1], bound[2]

    async def _watch_certificate(self, identity: TlsIdentity) -> None:
        while True:
            await self._clock.sleep(CERTIFICATE_CHECK_S)
            try:
                if await asyncio.to_thread(identity.refresh):
                    log.info("took up a renewed certificate")
            except (OSError, ValueError) as error:
                log.warning("cannot take up a renewed certificate: %s", error)

    def _pause_datagrams(self, paused: bool) -> None:
        for datagrams in self._datagrams:
            datagrams.pause(paused)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def _addresses(sockets: list[socket.socket]) -> tuple[Address, ...]:
    return tuple(Address(*bound.getsockname()[:2]) for bound in sockets)


class TcpListenerActor:
    """The listener in a process of its own: its writers, its metrics and their report."""

    def __init__(self, settings: Settings) -> None:
        clock = SystemClock()
        self._metrics = Metrics(clock)
        self._clock, self._last_error = clock, ""
        self._attempted = asyncio.Event()
        directory = WriterDirectory(NamedActors(), clock)
        self._listener = TcpListener(
            settings.tcp, settings.tls, settings.udp, directory.client, self._metrics, clock
        )
        self._listening = asyncio.create_task(self._listen())
        self._tasks = [
            asyncio.create_task(directory.run()),
            asyncio.create_task(MetricsReporter(self._metrics, clock).run()),
            # A node of a cluster may have an HAProxy and no HTTP replica; it has listeners.
            asyncio.create_task(refusals_of_this_node(self._metrics, clock).run()),
        ]
        # What lives now lives for ever: no collection has to look at it again.
        gc.freeze()

    async def ready(self) -> Addresses:
        """Return when it listens, and where; raises SettingsError while it cannot."""
        await self._attempted.wait()
        if self._last_error:
            raise SettingsError(self._last_error)
        return self._listener.addresses

    async def drain(self, timeout_s: float) -> bool:
        """As TcpListener.drain; before it listens there is nothing to do."""
        if not self._listening.done():
            self._listening.cancel()
            return True
        return await self._listener.drain(timeout_s)

    async def observe(self) -> ListenerState:
        """The numbers of this moment."""
        return self._listener.observe()

    async def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        return self._metrics.snapshot()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listener.start()
                self._last_error = ""
                return
            except (SettingsError, OSError) as error:
                # The port may be held by a predecessor that is ending.
                if str(error) != self._last_error:
                    log.error("%s, will try again", error)
                self._last_error = str(error)
            finally:
                self._attempted.set()
            await self._clock.sleep(LISTEN_AGAIN_S)


def start_tcp_listener(number: int, settings: Settings, node_id: str) -> ActorHandle[Any]:
    """The actor of a node's worker `number`, from 0, started there if there is none."""
    options = actor_options(tcp_listener_name(node_id, number), CPUS, CALLS_MAX, node_id)
    return start_actor(TcpListenerActor, options, settings)
