"""What a literal is: a number, an IP address or network, an id; and how numbers are spelled in JSON."""

import ipaddress
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

EXACT_INTEGER_MAX: Final = 2**53  # past it a Float64 skips integers

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,76}", re.ASCII)  # what fits an Int256
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_ID = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogId:
    """The two numbers of an `_id`."""

    timestamp_ns: int
    seq: int


def read_number(text: str) -> float | None:
    """The finite number that the text is; None when it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def read_big_integer(text: str) -> int | None:
    """The integer, where a Float64 would not hold it exactly."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if abs(number) >= EXACT_INTEGER_MAX else None


def read_ip(text: str) -> ipaddress.IPv6Address | None:
    """The address, an IPv4 one mapped into IPv6 so that all have one order."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id else address
    return ipaddress.IPv6Address(f"::ffff:{address}")


def read_network(text: str) -> str | None:
    """The canonical form of a network: `10.1.2.3/8` is `10.0.0.0/8`."""
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdecimal() or read_ip(address) is None:
        return None
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


def network_bounds(network: str) -> tuple[str, str]:
    """The first and last address of a network, as IPv6."""
    parsed = ipaddress.ip_network(network)
    first, last = read_ip(str(parsed[0])), read_ip(str(parsed[-1]))
    return str(first), str(last)


def read_id(text: str) -> LogId | None:
    """The parts of an `_id`."""
    match = _ID.fullmatch(text)
    return LogId(int(match[1], 16), int(match[2], 16)) if match else None


def json_spellings(text: str) -> tuple[str, ...]:
    """The JSON texts, other than a string's, that this text equals: true, false, null, or a number.

    Of a number these are the spellings in use: as it was typed, as an integer, and as Python, JavaScript and
    Go print it. Whoever sends `500e-2` finds it with a range.
    """
    if text in ("true", "false", "null"):
        return (text,)
    number = read_number(text)
    if number is None:
        return ()
    typed = (text,) if _JSON_NUMBER.fullmatch(text) else ()
    if read_big_integer(text) is not None:
        return typed or (str(int(text)),)
    return tuple(dict.fromkeys((*typed, *_spellings(number))))


def _spellings(number: float) -> list[str]:
    spellings = [repr(number)]
    if number.is_integer() and abs(number) < 1e21:
        spellings += [str(int(number)), f"{int(number)}.0"]
    mantissa, exponent, power = repr(number).partition("e")
    if exponent:
        spellings.append(f"{mantissa}e{power[0]}{power[1:].lstrip('0')}")
        spellings.append(format(Decimal(repr(number)), "f"))
    return spellings
