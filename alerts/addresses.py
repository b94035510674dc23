"""Which addresses a client's URL may lead to: only those of the public Internet, unless the operator
allows all.
"""

import ipaddress
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedAddress(OSError):
    """The name leads to a private, loopback, link-local or otherwise special address."""


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


class GuardedResolver(AbstractResolver):
    """Looks names up, and refuses those that lead to an address that is not public.

    The connection is made to the very address that was looked at here.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """As aiohttp asks; raises RefusedAddress."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            if not is_public(each["host"]):
                raise RefusedAddress(f"{host} leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def check_literal(host: str) -> None:
    """Raise RefusedAddress for an address written as such that is not public: those are not looked up."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    if not is_public(host):
        raise RefusedAddress(f"{host} is not a public address")
