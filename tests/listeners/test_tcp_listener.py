"""What senders meet at the port: dialects side by side, and bounds that cost nobody else anything."""

import os
import socket
import struct
import threading
from contextlib import ExitStack

import pytest

from core.errors import SettingsError
from core.settings import MIB
from listeners.connection import WRONG_COUNT
from listeners.messages import NEITHER
from tests.listeners.conftest import StartService
from tests.listeners.service import HOST, JSON, SYSLOG, ListenerService, closed_by_peer, messages, until


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


def test_a_thousand_idle_connections_leave_the_busy_one_alone(service: ListenerService) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(service.connect()) for _ in range(1000)]
        until(lambda: service.listener.observe().connections == 1000, "all of them")
        idle[0].sendall(SYSLOG)  # half a line
        service.send((SYSLOG + b"\n") * 20_000)
        service.wait_kept(20_000)
        assert service.listener.observe().connections == 1000
    service.wait_kept(20_001)


def test_a_port_that_is_taken_is_named_in_one_line(start_service: StartService) -> None:
    service = start_service()
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        service.listener._tcp = service.listener._tcp.model_copy(update={"port": other.getsockname()[1]})
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
            service.call(service.listener.start())
