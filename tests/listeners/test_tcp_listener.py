"""What senders meet at the ports: dialects side by side, bounds, backpressure, TLS, UDP, an orderly end."""

import os
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import MIB
from listeners.connection import WRONG_COUNT
from listeners.messages import NEITHER
from tests.listeners.authority import Authority, Identity
from tests.listeners.conftest import StartService
from tests.listeners.service import HOST, ListenerService, until

SYSLOG = b"<14>1 2024-01-15T10:00:00Z myhost api - - - Request processed"
JSON = b'{"timestamp": "2024-01-15T10:00:00Z", "level": "info", "message": "Hello"}'


def closed_by_peer(connection: socket.socket) -> bool:
    """Whether the other side ends the connection within the patience of the socket."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_one_connection_takes_every_dialect_and_framing(service: ListenerService) -> None:
    counted = b"%d %s" % (len(SYSLOG), SYSLOG)
    service.send(
        SYSLOG + b"\n" + JSON + b"\r\n" + counted + counted + b"<14>Jan 15 10:00:00 h a: old\0rubbish"
    )
    messages = [log["message"] for log in service.logs(5)]
    assert messages == ["Request processed", "Hello", "Request processed", "Request processed", "old"]
    (letter,) = service.dead_letters(1)
    assert (letter["raw"], letter["reason"], letter["source_ip"]) == (b"rubbish", NEITHER, HOST)


def test_what_is_known_of_a_message_becomes_fields_and_numbers(service: ListenerService) -> None:
    sent = b"<165>1 2024-01-15T10:00:00Z myhost api 77 ID5 - hi\nrubbish\n"
    service.send(sent)
    (log,) = service.logs(1)
    assert (log["level"], log["service"], log["source_ip"], log["method"]) == ("info", "api", HOST, "tcp")
    assert log["attributes"] == {
        "facility": '"local4"',
        "severity": '"notice"',
        "hostname": '"myhost"',
        "procid": '"77"',
        "msgid": '"ID5"',
    }
    assert service.counted("logs_ingested_total", "tcp") == 1
    assert service.counted("logs_rejected_total", "line") == 1
    assert service.counted("received_bytes_total", "tcp") == len(sent)


def test_a_line_over_the_limit_is_kept_cut_and_the_connection_lives_on(start_service: StartService) -> None:
    service = start_service(line_bytes_max=500)
    with service.connect() as connection:
        connection.sendall(SYSLOG + b"x" * 1000 + b"\n" + SYSLOG + b"\n")
        messages = [log["message"] for log in service.logs(2)]
        assert messages[0] == ("Request processed" + "x" * 1000)[: 500 - SYSLOG.index(b"Request")]
        assert messages[1] == "Request processed"
        connection.sendall(SYSLOG + b"\n")
        service.wait_kept(3)
    assert service.counted("cut_lines_total", "tcp") == 1


def test_a_lying_octet_count_ends_its_own_connection_only(service: ListenerService) -> None:
    with service.connect() as honest, service.connect() as liar:
        liar.sendall(b"5 <14>a5 <14>bcd rest\n")
        assert closed_by_peer(liar)
        honest.sendall(SYSLOG + b"\n")
        assert [log["message"] for log in service.logs(3)] == ["a", "b", "Request processed"]
    (letter,) = service.dead_letters(1)
    assert (letter["raw"], letter["reason"]) == (b"cd rest\n", WRONG_COUNT)
    assert service.counted("tcp_connections_closed_total", "octet_count") == 1


def test_a_half_line_is_kept_when_its_connection_ends(service: ListenerService) -> None:
    service.send(SYSLOG)
    assert len(service.logs(1)) == 1
    with service.connect() as connection:
        connection.sendall(SYSLOG)
        # A reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: service.counted("received_bytes_total") == 2 * len(SYSLOG), "the bytes")
    service.wait_kept(2)


def test_stalled_half_lines_give_their_memory_back(start_service: StartService) -> None:
    service = start_service(unfinished_bytes_max=MIB)
    half = b"<14>" + b"x" * 300_000
    connections = [service.connect() for _ in range(5)]
    for number, connection in enumerate(connections, 1):
        connection.sendall(half)
        until(lambda total=number: service.counted("received_bytes_total") == total * len(half), "the bytes")
    service.wait_kept(2)  # of the two that had waited longest
    assert service.listener.observe().unfinished_bytes <= MIB
    for connection in connections:
        connection.sendall(b" the end\n" + SYSLOG + b"\n")
        connection.close()
    service.wait_kept(10)
    assert service.counted("cut_lines_total") == 2
    messages = [log["message"] for log in service.logs(10)]
    assert sorted(map(len, messages)) == [17] * 5 + [300_000] * 2 + [300_008] * 3


def test_connections_beyond_the_bound_are_refused_and_the_others_stay(start_service: StartService) -> None:
    service = start_service(connections_max=2)
    with service.connect() as first, service.connect() as second:
        until(lambda: service.listener.observe().connections == 2, "two connections")
        with service.connect() as third:
            assert closed_by_peer(third)
        assert service.counted("tcp_connections_refused_total", "limit") == 1
        for connection in (first, second):
            connection.sendall(SYSLOG + b"\n")
        service.wait_kept(2)
    until(lambda: service.listener.observe().connections == 0, "the end of both")
    service.send(SYSLOG)
    service.wait_kept(3)


def test_networks_that_are_not_allowed_are_not_heard(start_service: StartService) -> None:
    service = start_service(allowed_networks=["10.0.0.0/8", "::1/128"], udp=True)
    with service.connect() as connection:
        assert closed_by_peer(connection)
    assert service.counted("tcp_connections_refused_total", "network") == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(SYSLOG, (HOST, service.udp_port))
    until(lambda: service.counted("udp_datagrams_refused_total") == 1, "the refusal")
    assert service.kept == 0


def test_an_allowed_network_is_heard(start_service: StartService) -> None:
    service = start_service(allowed_networks="10.0.0.0/8, 127.0.0.0/8")
    service.send(SYSLOG)
    service.wait_kept(1)


def test_idle_connections_are_closed_and_busy_ones_are_not(start_service: StartService) -> None:
    service = start_service(idle_timeout_s=1.5)
    with service.connect() as idle, service.connect() as busy:
        stop = threading.Event()

        def send() -> None:
            while not stop.wait(0.1):
                busy.sendall(SYSLOG + b"\n")

        sender = threading.Thread(target=send)
        sender.start()
        try:
            idle.sendall(SYSLOG)  # half a line is no life
            assert closed_by_peer(idle)
            assert service.listener.observe().connections == 1
        finally:
            stop.set()
            sender.join()
    assert service.counted("tcp_connections_closed_total", "idle") == 1
    until(lambda: any(log == "Request processed" for log in messages(service)), "the half line")


def messages(service: ListenerService) -> list[str]:
    return [row[0] for row in service.clickhouse.query("SELECT message FROM logs").rows]


def test_connections_are_kept_alive_as_the_settings_say(start_service: StartService) -> None:
    service = start_service(keepalive_idle_s=77, keepalive_interval_s=7, keepalive_probes=3)
    with service.connect() as connection:
        until(lambda: service.listener.observe().connections == 1, "the connection")
        port = connection.getsockname()[1]
        options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        with own_socket_to(port) as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert [accepted.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [77, 7, 3]


def own_socket_to(port: int) -> socket.socket:
    """A duplicate of this process's connection whose other end has this port."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            one = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # closed meanwhile
            continue
        if peer_port(one) == port:
            return one
        one.close()
    raise AssertionError(f"no connection to port {port}")


def peer_port(one: socket.socket) -> int:
    try:
        peer = one.getpeername()
    except OSError:
        return 0
    return int(peer[1]) if isinstance(peer, tuple) else 0


def test_a_full_log_stops_the_reading_and_nothing_is_lost(start_service: StartService) -> None:
    service = start_service(wal={"bytes_max": 16 * MIB, "flush_interval_s": 60.0}, unsent_bytes_max=MIB)
    line = b"<14>1 2024-01-15T10:00:00Z h a - - - %06d " + b"x" * 2000 + b"\n"
    count = 15_000  # 30 MB: the WAL, the listener and the kernel together hold less
    sent = threading.Event()

    def send() -> None:
        with service.connect() as connection:
            for number in range(count):
                connection.sendall(line % number)
        sent.set()

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: service.listener.observe().paused, "the listener to stop reading")
    until(lambda: service.counted("backpressure_total", "tcp") > 1, "refusals")
    assert "full" in service.listener.observe().last_error
    assert not sent.is_set()
    assert service.listener.observe().unsent_bytes < 2 * MIB
    # ClickHouse takes what is there, again and again: the WAL has room, the listener goes on.
    while service.kept < count:
        service.call(service.writer.drain(10))
    sender.join()
    rows = service.clickhouse.query("SELECT count(), uniqExact(message), max(length(message)) FROM logs").rows
    service.call(service.writer.drain(30))
    rows = service.clickhouse.query("SELECT count(), uniqExact(message) FROM logs").rows
    assert rows == [(count, count)]
    assert not service.listener.observe().paused


def test_a_drain_takes_in_what_the_kernel_holds(start_service: StartService) -> None:
    service = start_service()
    block = (SYSLOG + b"\n") * 1000
    with service.connect() as connection, service.connect() as half:
        connection.sendall(block * 20)
        half.sendall(SYSLOG)
        assert service.call(service.listener.drain(30))
        service.wait_kept(20_001)
        assert closed_by_peer(connection)
        assert closed_by_peer(half)
    with pytest.raises(ConnectionRefusedError):
        service.connect()
    assert service.listener.observe().connections == 0


def test_a_drain_that_cannot_write_says_so_in_time(start_service: StartService) -> None:
    service = start_service(wal={"free_disk_bytes_min": 1 << 60})
    service.send(SYSLOG)
    until(lambda: service.counted("backpressure_total", "tcp"), "a refusal")
    assert not service.call(service.listener.drain(0.3))


def test_a_port_that_is_taken_is_named_in_one_line(start_service: StartService) -> None:
    service = start_service()
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        service.listener._tcp = service.listener._tcp.model_copy(update={"port": other.getsockname()[1]})
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
            service.call(service.listener.start())


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
