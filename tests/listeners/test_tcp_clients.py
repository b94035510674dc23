"""Clients that nobody here wrote: every line arrives exactly once, as it was sent."""

import json
import logging
import logging.handlers
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.listeners.authority import Authority, Identity
from tests.listeners.conftest import StartService
from tests.listeners.daemons import Forwarding, rsyslog, syslog_ng
from tests.listeners.service import HOST, ListenerService, until

TEXTS = [
    "plain",
    "naïve 日本語 🎉",
    "quotes \" and ' and \\ and %s %d {} $x `y`",
    '{"message": "JSON inside", "n": [1, 2]}',
    "[looks like=structured data]",
    "<34>1 looks like a header",
    "12 <34>looks like an octet count",
    "trailing blanks   ",
    "tab\tinside",
    "long " + "x" * 7000,
]


def run(*command: str, text: str = "") -> None:
    subprocess.run(command, input=text, text=True, check=True, timeout=30)


@pytest.mark.parametrize(
    "line",
    [
        "<14>1 2024-01-15T10:00:00Z myhost api - - - Request processed",
        '{"timestamp": "2024-01-15T10:00:00Z", "level": "info", "message": "Request processed"}',
    ],
    ids=["syslog", "JSON"],
)
def test_netcat(service: ListenerService, line: str) -> None:
    run("nc", "-N", HOST, str(service.port), text=f"{line}\n")
    (log,) = service.logs(1)
    assert (log["message"], log["level"]) == ("Request processed", "info")
    assert log["timestamp"].isoformat() == "2024-01-15T10:00:00"


@pytest.mark.parametrize("framing", [[], ["--octet-count"]], ids=["newline", "octet count"])
@pytest.mark.parametrize("dialect", ["--rfc5424", "--rfc3164"])
def test_logger(service: ListenerService, tmp_path: Path, dialect: str, framing: list[str]) -> None:
    # logger ends a 5424 message of the newline framing with its own newline only.
    texts = [text for text in TEXTS if len(text) < 1000]
    file = tmp_path / "lines"
    file.write_text("\n".join(texts) + "\n")
    server = ["--tcp", "--server", HOST, "--port", str(service.port)]
    run(
        "logger",
        *server,
        dialect,
        *framing,
        "--tag",
        "api",
        "--id=77",
        "--priority",
        "local0.err",
        "--file",
        str(file),
    )
    logs = service.logs(len(texts))
    assert [log["message"] for log in logs] == texts
    for log in logs:
        assert (log["service"], log["level"]) == ("api", "error")
        assert (log["attributes"]["facility"], log["attributes"]["procid"]) == ('"local0"', '"77"')
        assert json.loads(log["attributes"]["hostname"])


def feed(port: int, texts: list[str]) -> None:
    """Give a daemon RFC 5424 messages, one a line."""
    lines = [
        f"<165>1 2024-01-15T10:00:00.{number:06d}+01:00 origin api 77 ID{number} "
        f'[meta@1 n="{number}"] {text}\n'
        for number, text in enumerate(texts)
    ]
    with socket.create_connection((HOST, port), 10) as connection:
        connection.sendall("".join(lines).encode())


def check_forwarded(service: ListenerService, texts: list[str]) -> None:
    logs = service.logs(len(texts))
    assert [log["message"] for log in logs] == texts
    for number, log in enumerate(logs):
        assert log["timestamp"].isoformat() == f"2024-01-15T09:00:00.{number:06d}".removesuffix(".000000")
        assert (log["service"], log["level"], log["source_ip"]) == ("api", "info", HOST)
        values = {name: json.loads(value) for name, value in log["attributes"].items()}
        assert values["meta@1.n"] == str(number)
        assert (values["facility"], values["severity"]) == ("local4", "notice")
        assert (values["procid"], values["msgid"]) == ("77", f"ID{number}")
    assert service.counted("dead_letters_total") == 0


@pytest.mark.parametrize("secured", [False, True], ids=["TCP", "TLS"])
@pytest.mark.parametrize("octet_counted", [False, True], ids=["newline", "octet count"])
@pytest.mark.parametrize("daemon", [rsyslog, syslog_ng])
def test_a_daemon_forwards(
    start_service: StartService,
    authority: Authority,
    server_identity: Identity,
    tmp_path: Path,
    daemon: Any,
    octet_counted: bool,
    secured: bool,
) -> None:
    service = start_service(
        tls={"certificate_file": server_identity.certificate, "key_file": server_identity.key}
    )
    texts = TEXTS + [f"line {number} of many" for number in range(2000)]
    directory = tmp_path / "daemon"
    directory.mkdir()
    port = service.tls_port if secured else service.port
    forwarding = Forwarding(port, octet_counted, authority.certificate if secured else None)
    with daemon(directory, forwarding) as entrance:
        feed(entrance, texts)
        check_forwarded(service, texts)


@pytest.mark.parametrize("daemon", [rsyslog, syslog_ng])
def test_a_daemon_that_does_not_trust_the_certificate_sends_nothing(
    start_service: StartService, server_identity: Identity, tmp_path: Path, daemon: Any
) -> None:
    service = start_service(
        tls={"certificate_file": server_identity.certificate, "key_file": server_identity.key}
    )
    stranger = Authority(tmp_path, "other-ca")
    directory = tmp_path / "daemon"
    directory.mkdir()
    with daemon(directory, Forwarding(service.tls_port, True, stranger.certificate)) as entrance:
        feed(entrance, ["secret"])
        if daemon is rsyslog:  # it looks at the certificate after the handshake
            output = directory / "output"
            until(lambda: "certificate" in output.read_text(), "its complaint")
        else:
            service.wait_refused("tls")
    assert service.kept == 0


def test_python_sys_log_handler(service: ListenerService) -> None:
    handler = logging.handlers.SysLogHandler(
        (HOST, service.port), logging.handlers.SysLogHandler.LOG_LOCAL3, socket.SOCK_STREAM
    )
    handler.ident = "api: "
    logger = logging.Logger("tests", logging.DEBUG)
    logger.addHandler(handler)
    for text in TEXTS:
        logger.warning("%s", text)
    logger.critical("two\nlines")
    handler.close()
    logs = service.logs(len(TEXTS) + 1)
    assert [log["message"] for log in logs] == [*TEXTS, "two\nlines"]
    assert {log["service"] for log in logs} == {"api"}
    assert [log["level"] for log in logs] == ["warn"] * len(TEXTS) + ["fatal"]
    assert {log["attributes"]["facility"] for log in logs} == {'"local3"'}
