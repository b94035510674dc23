"""rsyslog and syslog-ng, started with a configuration of their own: what comes in over TCP is forwarded."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.listeners.service import HOST, free_port, until

SYSLOG_NG = Path("/usr/local/lib/logray-test-clients")  # tests/install_clients
ENDS_WITHIN_S = 20


@dataclass(frozen=True)
class Forwarding:
    """Where a daemon sends, how it frames, and with TLS the authority that it trusts."""

    port: int
    octet_counted: bool = False
    authority: Path | None = None


@contextmanager
def rsyslog(directory: Path, to: Forwarding) -> Iterator[int]:
    """The port on which rsyslog takes messages."""
    port = free_port()
    framing = "octet-counted" if to.octet_counted else "traditional"
    settings, driver = "", ""
    if to.authority is not None:
        settings = f'global(DefaultNetstreamDriverCAFile="{to.authority}")'
        driver = (
            'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" '
            'StreamDriverPermittedPeers="localhost"'
        )
    configuration = directory / "rsyslog.conf"
    configuration.write_text(
        f'global(workDirectory="{directory}" maxMessageSize="64k" '
        f'parser.escapeControlCharactersOnReceive="off")\n{settings}\n'
        f'module(load="imtcp")\ninput(type="imtcp" address="{HOST}" port="{port}")\n'
        f'action(type="omfwd" target="{HOST}" port="{to.port}" protocol="tcp" TCP_Framing="{framing}" '
        f'template="RSYSLOG_SyslogProtocol23Format" {driver})\n'
    )
    command = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(directory / "rsyslog.pid")]
    with _running(command, port, directory):
        yield port


@contextmanager
def syslog_ng(directory: Path, to: Forwarding) -> Iterator[int]:
    """The port on which syslog-ng takes messages."""
    port = free_port()
    driver = "syslog" if to.octet_counted else "network"
    flags = "" if to.octet_counted else "flags(syslog-protocol)"
    transport = 'transport("tcp")'
    if to.authority is not None:
        transport = f'transport("tls") tls(ca-file("{to.authority}") peer-verify(required-trusted))'
    configuration = directory / "syslog-ng.conf"
    configuration.write_text(
        "@version: 3.38\noptions { stats-freq(0); frac-digits(6); log-msg-size(65536); };\n"
        f'source in {{ network(ip("{HOST}") port({port}) transport("tcp") flags(syslog-protocol)); }};\n'
        f'destination out {{ {driver}("{HOST}" port({to.port}) {transport} {flags}); }};\n'
        "log { source(in); destination(out); };\n"
    )
    files = {"persist-file": "persist", "pidfile": "pid", "control": "ctl"}
    command = [
        *(str(SYSLOG_NG / "usr/sbin/syslog-ng"), "--foreground", "--no-caps", "--stderr"),
        *("--cfgfile", str(configuration), "--module-path", str(SYSLOG_NG / "usr/lib/syslog-ng/3.38")),
        *(f"--{option}={directory / name}" for option, name in files.items()),
    ]
    libraries = {"LD_LIBRARY_PATH": str(SYSLOG_NG / "usr/lib/syslog-ng")}
    with _running(command, port, directory, libraries):
        yield port


@contextmanager
def _running(
    command: list[str], port: int, directory: Path, environment: dict[str, str] | None = None
) -> Iterator[None]:
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
        try:
            until(lambda: process.poll() is not None or accepts(port), f"{command[0]} to listen")
            assert process.poll() is None, (directory / "output").read_text()
            yield
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN_S)


def accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
