"""What goes out to a receiver, written and not yet sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A request. `guarded`: its URL is the client's own, so that it must not lead into the private
    network.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail and to whom."""

    message: EmailMessage
    recipients: tuple[str, ...]


class NotConfigured(Exception):
    """The service lacks the setting that this receiver needs; the message names it."""
