"""Sockets are bound as the settings say, and addresses are read whatever family they come in."""

import resource
import socket
from ipaddress import ip_network
from typing import Any

import pytest

from core.settings import TcpSettings
from listeners.sockets import OTHER_DESCRIPTORS, Networks, bind, clean_ip, make_room, unread_bytes
from tests.listeners.service import HOST, free_port


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.1.2.3", 5), "10.1.2.3"),
        (("::ffff:10.1.2.3", 5, 0, 0), "10.1.2.3"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1"),
        (("2001:db8::1", 5, 0, 0), "2001:db8::1"),
        (None, ""),
        ("", ""),
    ],
)
def test_an_address_is_told_without_what_is_around_it(peer: Any, address: str) -> None:
    assert clean_ip(peer) == address


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("10.9.9.9", True), ("11.0.0.1", False), ("2001:db8::5", True), ("2001:db9::5", False), ("", False)],
)
def test_networks_of_both_families_are_compared(address: str, allowed: bool) -> None:
    networks = Networks([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])
    assert networks.allow(address) is allowed
    assert Networks([]).allow(address)


def test_a_port_belongs_to_one_listener_unless_there_are_several_workers() -> None:
    port = free_port()
    shared = TcpSettings(workers=2)
    bound = bind(HOST, port, socket.SOCK_STREAM, shared) + bind(HOST, port, socket.SOCK_STREAM, shared)
    assert [one.getsockname() for one in bound] == [(HOST, port)] * 2
    for one in bound:
        one.close()


def test_a_name_is_bound_at_each_of_its_addresses() -> None:
    bound = bind("", free_port(), socket.SOCK_DGRAM, TcpSettings())
    assert {one.family for one in bound} >= {socket.AF_INET}
    assert len({one.getsockname()[1] for one in bound}) == 1
    for one in bound:
        one.close()


def test_the_unspecified_ipv6_address_takes_ipv4_as_well() -> None:
    (bound,) = bind("::", free_port(), socket.SOCK_STREAM, TcpSettings())
    with bound, socket.create_connection((HOST, bound.getsockname()[1]), 5):
        accepted, peer = bound.accept()
        accepted.close()
    assert clean_ip(peer) == HOST


def test_what_the_kernel_holds_is_counted() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        assert unread_bytes(reader.fileno()) == 0
        writer.sendall(b"x" * 1000)
        assert unread_bytes(reader.fileno()) == 1000


def test_the_bound_of_descriptors_bounds_the_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        wanted = min(3000, hard - OTHER_DESCRIPTORS)
        assert make_room(wanted) == wanted
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted + OTHER_DESCRIPTORS
        assert make_room(hard + 1) == hard - OTHER_DESCRIPTORS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
