"""When the writers are behind, and when the listener is told to end: nothing that was read is lost."""

import socket
import threading

import pytest

from core.settings import MIB
from tests.listeners.conftest import StartService
from tests.listeners.service import HOST, SYSLOG, ListenerService, closed_by_peer, messages, until


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
    service.call(service.writer.drain(30))
    rows = service.clickhouse.query("SELECT count(), uniqExact(message) FROM logs").rows
    assert rows == [(count, count)]
    assert not service.listener.observe().paused


def test_a_sender_that_never_pauses_leaves_room_for_others(start_service: StartService) -> None:
    service = start_service(unsent_bytes_max=4 * MIB)
    block = (SYSLOG + b"\n") * 10_000
    enough, sent = threading.Event(), [0] * 4

    def send(number: int) -> None:
        with service.connect() as connection:
            while not enough.is_set():
                connection.sendall(block)
                sent[number] += 10_000

    senders = [threading.Thread(target=send, args=(number,)) for number in range(len(sent))]
    for sender in senders:
        sender.start()
    try:
        until(lambda: service.kept > 1_500_000, "many logs", 60)
        shares = sent.copy()
    finally:
        enough.set()
        for sender in senders:
            sender.join()
    assert min(shares) > max(shares) / 3, shares
    service.wait_kept(sum(sent))


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


def test_logs_that_are_much_larger_than_their_lines_are_stored(service: ListenerService) -> None:
    # Flattened, each of a thousand fields carries the long name of the object around them.
    inner = ",".join(f'"f{number}":{number}' for number in range(900))
    line = f'{{"timestamp": 1705312800, "message": "m", "{"x" * 480}": {{{inner}}}}}\n'
    service.send(line.encode() * 40)
    service.wait_kept(40)
    service.call(service.writer.drain(30))
    assert {len(log["attributes"]) for log in service.logs(40)} == {900}


def test_udp_rests_while_nothing_can_be_written(start_service: StartService) -> None:
    service = start_service(
        udp=True, wal={"bytes_max": 16 * MIB, "flush_interval_s": 60.0}, unsent_bytes_max=MIB
    )
    datagram = SYSLOG + b"x" * 8000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def full() -> bool:
            for _ in range(50):
                sender.sendto(datagram, (HOST, service.udp_port))
            return service.listener.observe().paused

        until(full, "the bound")

        def heard_again() -> bool:
            service.call(service.writer.drain(20))
            sender.sendto(b"<14>the last", (HOST, service.udp_port))
            return "the last" in messages(service)

        until(heard_again, "a message after the rest")
    assert not service.listener.observe().paused
