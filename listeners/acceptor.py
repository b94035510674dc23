"""One listening socket: whoever may come in is accepted, over TLS after a handshake."""

import asyncio
import socket
import ssl
from typing import Any, Final

from core.metric_names import TCP_REFUSED
from core.metrics import Metrics
from listeners.connection import Connection
from listeners.connections import Connections
from listeners.sockets import clean_ip

ACCEPTS_AT_ONCE: Final = 128  # then those that are connected have their turn
ACCEPT_AGAIN_S: Final = 0.5  # when no descriptor is left
HANDSHAKE_TIMEOUT_S: Final = 10.0
GOODBYE_TIMEOUT_S: Final = 2.0  # for the peer's part in closing TLS


class Acceptor:
    """Accepts on a listening socket until it is closed; those not admitted are never heard."""

    def __init__(
        self, bound: socket.socket, tls: ssl.SSLContext | None, connections: Connections, metrics: Metrics
    ) -> None:
        self._socket, self._tls = bound, tls
        self._connections, self._metrics = connections, metrics
        self._tls_options: dict[str, Any] = {}
        if tls is not None:
            self._tls_options = {
                "ssl": tls,
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S,
                "ssl_shutdown_timeout": GOODBYE_TIMEOUT_S,
            }
        self._listen()

    def close(self) -> None:
        """Accept those that wait already, then no more."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._accept()
            self._socket.close()

    def _listen(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._connections.occasional_log.info("accept", "cannot accept a connection: %s", error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._socket)
                loop.call_later(ACCEPT_AGAIN_S, self._listen)
                return
            self._take_in(accepted, clean_ip(peer))

    def _take_in(self, accepted: socket.socket, source_ip: str) -> None:
        connection = self._connections.admit(source_ip)
        if isinstance(connection, str):
            self._refused(source_ip, connection, "")
            accepted.close()
            return
        accepted.setblocking(False)
        connection.opening = asyncio.create_task(self._open(connection, accepted))

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, **self._tls_options
            )
        except BaseException as error:
            self._connections.lost(connection, [])
            accepted.close()
            if not isinstance(error, Exception):
                raise  # the listener is ending
            self._refused(connection.source_ip, "tls" if self._tls else "error", str(error))
        finally:
            connection.opening = None

    def _refused(self, source_ip: str, reason: str, error: str) -> None:
        self._metrics.count(TCP_REFUSED, 1, (reason,))
        self._connections.occasional_log.info(
            reason, "refused a connection from %s: %s %s", source_ip, reason, error
        )
