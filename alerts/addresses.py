"""Which addresses a client's URL may lead to: only those of the public Internet, unless the operator
allows all.
"""

import ipaddress
import socket
from typing import Final

from aiohttp.connector import AddrInfoType

NOT_PUBLIC: Final = "is not a public address"
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedAddress(OSError):
    """The URL leads to a private, loopback, link-local or otherwise special address."""


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet; an IPv4 address inside an IPv6 one counts as
    itself.
    """
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return _is_public(inner)
    return _is_public(address)


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or int(address) >> 32 == 0:  # 64:ff9b::1.2.3.4, ::1.2.3.4
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def guarded_socket(found: AddrInfoType) -> socket.socket:
    """A socket for an address that a connection is about to be made to; raises RefusedAddress.

    It is given the very address, however the URL wrote it and whatever its name led to.
    """
    family, kind, protocol, _, address = found
    if not is_public(str(address[0])):
        raise RefusedAddress(f"{address[0]} {NOT_PUBLIC}")
    return socket.socket(family, kind, protocol)


def was_refused(error: OSError) -> bool:
    """Whether a connection failed since no address was allowed; of several errors only the texts are left."""
    return isinstance(error, RefusedAddress) or NOT_PUBLIC in str(error)
