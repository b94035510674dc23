"""One connection: its bytes become messages, its end gives up what is unfinished."""

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, cast

from core.metric_names import TCP_CLOSED, TCP_REFUSED
from formats.framing import Splitter
from listeners.sockets import clean_ip, unread_bytes

if TYPE_CHECKING:
    from listeners.connections import Connections

HANDSHAKE_TIMEOUT_S: Final = 10.0
GOODBYE_TIMEOUT_S: Final = 2.0  # for the peer's part in closing TLS
WRONG_COUNT: Final = "octet count: wrong"


class Connection(asyncio.Protocol):
    """A sender over TCP, or over TLS when there is a context for it."""

    def __init__(self, owner: "Connections", tls: ssl.SSLContext | None) -> None:
        self._owner, self._tls = owner, tls
        self._splitter = Splitter(owner.line_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._cut = 0
        self.source_ip = ""
        self.read_at_s = 0.0

    @property
    def unfinished_bytes(self) -> int:
        """Memory of the message that is not complete yet."""
        return self._splitter.pending_bytes

    @property
    def unread_bytes(self) -> int:
        """What the kernel holds for this connection."""
        if self._transport is None or self._transport.is_closing():
            return 0
        return unread_bytes(self._transport.get_extra_info("socket").fileno())

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", made)  # uvloop's are none by inheritance
        self.source_ip = clean_ip(transport.get_extra_info("peername"))
        refusal = self._owner.admit(self)
        if refusal:
            self._owner.metrics.count(TCP_REFUSED, 1, (refusal,))
            transport.abort()
        elif self._tls is None:
            self._begin(transport)
        else:
            self._handshake = asyncio.create_task(self._shake_hands(transport, self._tls))

    def data_received(self, data: bytes) -> None:
        splitter = self._splitter
        messages = splitter.feed(data)
        self._owner.received(self, len(data), messages)
        if splitter.cut_messages != self._cut:
            self._count_cut()
        if splitter.lie:
            self._owner.refuse(self, WRONG_COUNT, splitter.refused, splitter.lie)
            self.close("octet_count")

    def connection_lost(self, exc: Exception | None) -> None:
        messages = [] if self._splitter.lie else self._splitter.finish()
        self._transport = None
        self._owner.lost(self, messages)
        self._count_cut()

    def cut_unfinished(self) -> list[bytes]:
        """Take back the memory of the unfinished message: what is there is kept, its rest is skipped."""
        messages = self._splitter.cut_pending()
        self._count_cut()
        return messages

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on."""
        if self._transport is not None and not self._transport.is_closing():
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def close(self, reason: str = "") -> None:
        """End the connection; `reason` is counted."""
        if reason:
            self._owner.metrics.count(TCP_CLOSED, 1, (reason,))
        if self._handshake is not None:
            self._handshake.cancel()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection without waiting for the peer."""
        self.close()
        if self._transport is not None:
            self._transport.abort()

    def _begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # Only the next turn of the loop may pause: uvloop begins to read after connection_made.
        asyncio.get_running_loop().call_soon(self._owner.begun, self)

    async def _shake_hands(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        secured = None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=GOODBYE_TIMEOUT_S,
            )
        except (OSError, ssl.SSLError) as error:
            self._owner.no_handshake(self, error)
        finally:
            self._handshake = None
            if secured is None:
                transport.abort()
                self._owner.lost(self, [])
        if secured is not None:
            self._begin(secured)

    def _count_cut(self) -> None:
        self._owner.cut(self._splitter.cut_messages - self._cut)
        self._cut = self._splitter.cut_messages
