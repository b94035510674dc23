"""One connection: its bytes become messages, its end gives up what is unfinished."""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from core.metric_names import TCP_CLOSED
from formats.framing import Splitter
from listeners.sockets import unread_bytes

if TYPE_CHECKING:
    from listeners.connections import Connections

WRONG_COUNT: Final = "octet count: wrong"
# libuv reads a socket up to 32 times before it looks at another one: a sender that never pauses would take
# all the room there is, each time that reading goes on.
TURN_BYTES: Final = 1 << 20


class Connection(asyncio.Protocol):
    """A sender that was accepted; over TLS it can be heard when the handshake is done."""

    def __init__(self, owner: "Connections", source_ip: str, now_s: float) -> None:
        self._owner = owner
        self._splitter = Splitter(owner.line_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._cut = 0
        self._turn_bytes = 0
        self.opening: asyncio.Task[None] | None = None
        self.source_ip = source_ip
        self.read_at_s = now_s

    @property
    def unfinished_bytes(self) -> int:
        """Memory of the message that is not complete yet."""
        return self._splitter.pending_bytes

    @property
    def all_read(self) -> bool:
        """Whether the kernel holds nothing that this connection has sent."""
        if self._transport is None:
            return False
        if self._transport.is_closing():
            return True
        return not unread_bytes(self._transport.get_extra_info("socket").fileno())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        # Only the next turn of the loop may pause: uvloop begins to read after this call.
        asyncio.get_running_loop().call_soon(self._owner.take_turn, self)

    def data_received(self, data: bytes) -> None:
        splitter = self._splitter
        messages = splitter.feed(data)
        self._owner.received(self, len(data), messages)
        self._turn_bytes += len(data)
        if self._turn_bytes >= TURN_BYTES:
            self.pause(True)
            asyncio.get_running_loop().call_soon(self._next_turn)
        if splitter.cut_messages != self._cut:
            self._count_cut()
        if splitter.lie:
            self._owner.refuse(self, WRONG_COUNT, splitter.refused, splitter.lie)
            self.close("octet_count")

    def connection_lost(self, exc: Exception | None) -> None:
        messages = [] if self._splitter.lie else self._splitter.finish()
        self._owner.lost(self, messages)
        self._count_cut()

    def cut_unfinished(self) -> list[bytes]:
        """Take back the memory of the unfinished message: what is there is kept, its rest is skipped."""
        messages = self._splitter.cut_pending()
        self._count_cut()
        return messages

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on."""
        if self._transport is None or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _next_turn(self) -> None:
        self._turn_bytes = 0
        self._owner.take_turn(self)

    def close(self, reason: str = "") -> None:
        """End the connection; `reason` is counted."""
        if self._transport is None or self._transport.is_closing():
            return
        if reason:
            self._owner.metrics.count(TCP_CLOSED, 1, (reason,))
        self._transport.close()

    def abort(self) -> None:
        """End the connection now, whatever the peer or the handshake waits for."""
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def _count_cut(self) -> None:
        self._owner.cut(self._splitter.cut_messages - self._cut)
        self._cut = self._splitter.cut_messages
