"""All connections of one listener process: who may come in, how much they may hold, when they go."""

import logging
from collections.abc import Sequence
from typing import Final

from core.clock import Clock
from core.metric_names import CUT_LINES, RECEIVED_BYTES, TCP_CONNECTIONS
from core.metrics import Metrics
from core.settings import TcpSettings
from listeners.connection import Connection
from listeners.intake import Intake
from listeners.occasional import OccasionalLog
from listeners.sockets import Networks, make_room

METHOD: Final = "tcp"
SWEEP_INTERVAL_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.01
QUIET_S: Final = 0.05  # at the end, so that what is on its way to the kernel gets there

log = logging.getLogger(__name__)


class Connections:
    """The connections and their common bounds; `intake` must be set before the first one comes."""

    intake: Intake

    def __init__(self, settings: TcpSettings, metrics: Metrics, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.metrics = metrics
        self.occasional_log = OccasionalLog(log, clock)
        self.line_bytes_max = settings.line_bytes_max
        self._networks = Networks(settings.allowed_networks)
        self._connections_max = make_room(settings.connections_max)
        self._open: set[Connection] = set()
        self._unfinished: dict[Connection, int] = {}  # bytes of half lines, the one silent for longest first
        self._unfinished_bytes = 0
        self._paused = False
        self._reading_since_s = clock.monotonic_s()
        self._labels = (METHOD,)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unfinished_bytes(self) -> int:
        """Memory of all half lines."""
        return self._unfinished_bytes

    def admit(self, source_ip: str) -> Connection | str:
        """A new connection; or, in a word, why it may not come in."""
        if not self._networks.allow(source_ip):
            return "network"
        if len(self._open) >= self._connections_max:
            return "limit"
        connection = Connection(self, source_ip, self._clock.monotonic_s())
        self._open.add(connection)
        return connection

    def take_turn(self, connection: Connection) -> None:
        """A connection is read from now on, unless all have to wait."""
        connection.pause(self._paused)

    def received(self, connection: Connection, size: int, messages: list[bytes]) -> None:
        """Take what one read brought."""
        connection.read_at_s = self._clock.monotonic_s()
        self.metrics.count(RECEIVED_BYTES, size, self._labels)
        if messages:
            self.intake.add(messages, connection.source_ip)
        if connection.unfinished_bytes or connection in self._unfinished:
            self._note_unfinished(connection, connection.unfinished_bytes)
            if self._unfinished_bytes > self._settings.unfinished_bytes_max:
                self._cut_unfinished()

    def refuse(self, connection: Connection, reason: str, raw: bytes, lie: str) -> None:
        """Keep bytes that cannot be told apart."""
        self.occasional_log.info(reason, "closing the connection from %s: %s", connection.source_ip, lie)
        self.intake.reject(reason, raw, connection.source_ip)

    def lost(self, connection: Connection, messages: list[bytes]) -> None:
        """A connection has ended; its last messages may come with it. May be called again."""
        if messages:
            self.intake.add(messages, connection.source_ip)
        self._open.discard(connection)
        self._note_unfinished(connection, 0)

    def cut(self, lines: int) -> None:
        """Count lines that were cut."""
        if lines:
            self.metrics.count(CUT_LINES, lines, self._labels)

    def pause(self, paused: bool) -> None:
        """All stop reading, or go on."""
        self._paused = paused
        self._reading_since_s = self._clock.monotonic_s()
        # Who was read last waits for the others.
        for connection in sorted(self._open, key=lambda each: each.read_at_s):
            connection.pause(paused)

    async def run(self) -> None:
        """Close what is idle for too long, and keep the gauges, until cancelled."""
        while True:
            self.metrics.set(TCP_CONNECTIONS, len(self._open))
            self.intake.report()
            if self._settings.idle_timeout_s and not self._paused:
                self._close_idle()
            await self._clock.sleep(SWEEP_INTERVAL_S)

    async def take_in_received(self, timeout_s: float) -> None:
        """Read what the kernel holds, then close: each connection when it is done, all when time is over."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while self._open and self._clock.monotonic_s() < deadline_s:
            quiet_since_s = self._clock.monotonic_s() - QUIET_S
            self._close([one for one in self._open if one.all_read and one.read_at_s < quiet_since_s])
            await self._clock.sleep(LOOK_AGAIN_S)
        while self._open:
            for connection in list(self._open):
                connection.abort()
            await self._clock.sleep(LOOK_AGAIN_S)

    def _close_idle(self) -> None:
        since_s = self._clock.monotonic_s() - self._settings.idle_timeout_s
        if since_s > self._reading_since_s:  # while we did not read, nobody was idle
            self._close([one for one in self._open if one.read_at_s < since_s], "idle")

    def _close(self, connections: Sequence[Connection], reason: str = "") -> None:
        for connection in connections:
            connection.close(reason)

    def _note_unfinished(self, connection: Connection, size: int) -> None:
        self._unfinished_bytes += size - self._unfinished.pop(connection, 0)
        if size:
            self._unfinished[connection] = size

    def _cut_unfinished(self) -> None:
        """Take memory back from the half lines that have waited longest."""
        while self._unfinished_bytes > self._settings.unfinished_bytes_max:
            stalest = next(iter(self._unfinished))
            messages = stalest.cut_unfinished()
            self._note_unfinished(stalest, 0)
            self.intake.add(messages, stalest.source_ip)
