"""The two other ports: TLS with certificates, and a message a datagram."""

import socket
import ssl
from pathlib import Path

import pytest

from core.errors import SettingsError
from tests.listeners.authority import Authority, Identity
from tests.listeners.conftest import StartService
from tests.listeners.service import HOST, JSON, SYSLOG, closed_by_peer, until


def test_udp_takes_a_message_a_datagram(start_service: StartService) -> None:
    service = start_service(udp=True)
    datagrams = [
        SYSLOG,
        SYSLOG + b"\n",
        JSON,
        b"<14>Jan 15 10:00:00 h a: two\nlines\0",
        b"\n",
        b"",
        b"rubbish",
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (HOST, service.udp_port))
    logs = service.logs(4)
    assert [log["message"] for log in logs] == [
        "Request processed",
        "Request processed",
        "Hello",
        "two\nlines",
    ]
    assert {(log["method"], log["source_ip"]) for log in logs} == {("udp", HOST)}
    assert service.dead_letters(1)[0]["method"] == "udp"
    assert service.counted("logs_ingested_total", "udp") == 4


def tls_settings(server: Identity, **more: Path) -> dict[str, Path]:
    return {"certificate_file": server.certificate, "key_file": server.key, **more}


def test_tls_carries_octet_counted_messages(
    start_service: StartService, authority: Authority, server_identity: Identity
) -> None:
    service = start_service(tls=tls_settings(server_identity))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with context.wrap_socket(service.connect(service.tls_port), server_hostname="localhost") as connection:
        for number in range(500):
            text = SYSLOG + b" %d" % number
            connection.sendall(b"%d %s" % (len(text), text))
        connection.unwrap()
    logs = service.logs(500)
    assert [log["message"] for log in logs] == [f"Request processed {number}" for number in range(500)]
    assert logs[0]["method"] == "tcp"


def test_what_is_no_handshake_is_refused_and_counted(
    start_service: StartService, server_identity: Identity
) -> None:
    service = start_service(tls=tls_settings(server_identity))
    with service.connect(service.tls_port) as plain:
        plain.sendall(SYSLOG + b"\n")
        while not closed_by_peer(plain):
            pass  # the alert comes first
    until(lambda: service.counted("tcp_connections_refused_total", "tls") == 1, "the refusal")
    assert service.listener.observe().connections == 0


def test_with_a_client_authority_strangers_are_refused(
    start_service: StartService, authority: Authority, server_identity: Identity
) -> None:
    service = start_service(tls=tls_settings(server_identity, client_ca_file=authority.certificate))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with context.wrap_socket(service.connect(service.tls_port), server_hostname="localhost") as stranger:
        stranger.sendall(SYSLOG)
        assert closed_by_peer(stranger)
    until(lambda: service.counted("tcp_connections_refused_total", "tls") == 1, "the refusal")
    known = authority.issue("sender")
    context.load_cert_chain(known.certificate, known.key)
    with context.wrap_socket(service.connect(service.tls_port), server_hostname="localhost") as sender:
        sender.sendall(SYSLOG + b"\n")
        service.wait_kept(1)


def test_a_drain_ends_tls_connections_too(
    start_service: StartService, authority: Authority, server_identity: Identity
) -> None:
    service = start_service(tls=tls_settings(server_identity))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with (
        context.wrap_socket(service.connect(service.tls_port), server_hostname="localhost") as connection,
        service.connect(service.tls_port),  # never shakes hands
    ):
        connection.sendall((SYSLOG + b"\n") * 1000 + SYSLOG)
        until(lambda: service.listener.observe().connections == 2, "both")
        assert service.call(service.listener.drain(20))
        service.wait_kept(1001)


def test_a_certificate_that_cannot_be_used_stops_the_start(
    start_service: StartService, tmp_path: Path, server_identity: Identity
) -> None:
    with pytest.raises(SettingsError, match=r"cannot use .*missing"):
        start_service(tls={"certificate_file": tmp_path / "missing.pem"})
    with pytest.raises(SettingsError, match="cannot use"):
        start_service(tls={"certificate_file": server_identity.certificate})  # no key in it
