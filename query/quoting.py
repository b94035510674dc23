r"""How names and texts are written in a query, so that they read back as the same."""

import ipaddress
import re
from typing import Final

RESERVED: Final = frozenset({"AND", "OR", "NOT", "TO"})

# Names that are read as a field before a colon; any other name stands in quotes or has its signs escaped. One
# that begins with a digit needs a letter and no hyphen: `2fa:1` names a field, `2024-01-15T10:30` does not.
FIELD_NAME: Final = re.compile(r"@?[^\W\d][\w.-]*|\d+[^\W\d][\w.]*")

_PLAIN_TEXT = re.compile(r"\w[\w.@,;=-]*")
_PLAIN_VALUE = re.compile(r"[\w.+-][\w.@,;=:+-]*")
_QUOTE_ESCAPE = re.compile(r'\\(["\\])')
_MAC_ADDRESS = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){2,}")


def quote(text: str) -> str:
    """The text in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(inside: str) -> str:
    r"""The text between quotes without its escapes: only `\"` and `\\` are any."""
    return _QUOTE_ESCAPE.sub(r"\1", inside)


def print_field(name: str) -> str:
    """A field's name before its colon."""
    return name if FIELD_NAME.fullmatch(name) and name not in RESERVED else quote(name)


def print_words(text: str) -> str:
    """Words or a phrase of the message."""
    return text if _PLAIN_TEXT.fullmatch(text) and text not in RESERVED else quote(text)


def print_value(text: str) -> str:
    """A literal behind a field's colon, a comparison or in a range."""
    return text if _PLAIN_VALUE.fullmatch(text) and text not in RESERVED else quote(text)


def print_regex(source: str) -> str:
    """A regular expression between slashes."""
    return "/" + source.replace("/", "\\/") + "/"


def is_address(text: str) -> bool:
    """Whether a text with colons is an IPv6 or MAC address rather than a field and its value."""
    if _MAC_ADDRESS.fullmatch(text):
        return True
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
