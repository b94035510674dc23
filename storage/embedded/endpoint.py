"""Where the embedded ClickHouse answers: a port and a password, chosen once and kept in its directory."""

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

HOST: Final = "127.0.0.1"
USER: Final = "logray"
DATABASE: Final = "logray"
FILE: Final = "endpoint.json"


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A port of the loopback address and the password that opens it."""

    port: int
    password: str

    def url(self, database: str = DATABASE) -> SecretStr:
        """The URL that clients are given."""
        return SecretStr(f"http://{USER}:{quote(self.password)}@{HOST}:{self.port}/{quote(database)}")

    @property
    def address(self) -> str:
        """The URL without what must stay secret."""
        return f"http://{HOST}:{self.port}"

    def __repr__(self) -> str:
        return f"Endpoint({self.address})"


def embedded_url(data_dir: Path) -> SecretStr | None:
    """The URL of the embedded ClickHouse of a data directory; None before its first start."""
    endpoint = _read(clickhouse_directory(data_dir) / FILE)
    return endpoint.url() if endpoint else None


def clickhouse_directory(data_dir: Path) -> Path:
    """Where the embedded ClickHouse keeps everything."""
    return data_dir / "clickhouse"


def bind(directory: Path) -> tuple[Endpoint, socket.socket]:
    """Bind the kept port, or a new one where there is none or somebody else has it, and keep that.

    A restarted process so has the same URL, and clients need not be told.
    """
    file = directory / FILE
    kept = _read(file)
    if kept is not None:
        with suppress(OSError):
            return kept, _listen(kept.port)
    password = kept.password if kept is not None else secrets.token_urlsafe(24)
    listener = _listen(0)
    endpoint = Endpoint(listener.getsockname()[1], password)
    _write(file, endpoint)
    return endpoint, listener


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Connections of the process before this one may still linger on the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _read(file: Path) -> Endpoint | None:
    try:
        content = json.loads(file.read_text())
        return Endpoint(int(content["port"]), str(content["password"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, endpoint: Endpoint) -> None:
    """Replace the file as a whole, readable by its owner alone."""
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        json.dump(asdict(endpoint), target)
        target.flush()
        os.fsync(target.fileno())
    temporary.replace(file)
