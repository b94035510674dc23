"""Any bytes, cut anywhere, on a real connection: never a crash or a hang, and every line is kept."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.framing import Splitter
from tests.listeners.conftest import StartService
from tests.listeners.service import ListenerService, until

LINE_BYTES_MAX = 500
PIECES = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\0", b"<14>", b"<34>1 2024-01-15T10:00:00Z h a - - ", b'[x@1 a="', b'"] ', b" "),
        *(b"<13>Jan 15 10:00:00 host tag[1]: ", b"11 <14>", b"480 <14>", b"99999999 <14>", b"\xff\xfe", b"{"),
        *(b'{"timestamp": 1705312800, "message": "m"}', b'{"timestamp": 1705312800, "message": "', b'"}'),
        b"x" * 200,
    ]
)


def keep(service: ListenerService, stream: bytes, cuts: list[int]) -> None:
    """Send a stream in pieces on one connection, and wait until all of its messages are on disk."""
    splitter = Splitter(LINE_BYTES_MAX)
    expected = len(splitter.feed(stream)) + (1 if splitter.lie else len(splitter.finish()))
    before = service.kept
    with service.connect() as connection:
        at = 0
        for length in [*cuts, len(stream)]:
            try:
                connection.sendall(stream[at : at + length])
            except (BrokenPipeError, ConnectionResetError):
                assert splitter.lie  # it was shown the door
                break
            at += length
    until(lambda: service.kept >= before + expected, f"{expected} logs and dead letters of {stream!r}")
    until(lambda: service.listener.observe().connections == 0, "the end of the connection")
    assert service.kept == before + expected


def test_every_line_of_any_bytes_is_kept(start_service: StartService) -> None:
    service = start_service(line_bytes_max=LINE_BYTES_MAX)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(PIECES | st.binary(max_size=20), max_size=30).map(b"".join),
        st.lists(st.integers(1, 80), max_size=20),
    )
    def check(stream: bytes, cuts: list[int]) -> None:
        keep(service, stream, cuts)

    check()
    service.call(service.writer.drain(20))
    stored = service.clickhouse.query(
        "SELECT (SELECT count() FROM logs) + (SELECT count() FROM dead_letters)"
    )
    assert stored.rows == [(service.kept,)]
