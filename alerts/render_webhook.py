"""A notice to a webhook: its content or the target's own template as JSON, signed."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from alerts.outgoing import HttpMessage
from alerts.template import fill

SIGNATURE: Final = "X-Logray-Signature"
TIMESTAMP: Final = "X-Logray-Timestamp"


def webhook_message(
    key: str, content: Mapping[str, Any], config: Mapping[str, Any], sent_at_s: int
) -> HttpMessage:
    """The request; with a secret, the signature is the HMAC-SHA256 of timestamp, a full stop and the body,
    in hex.
    """
    values = {"id": key, **content}
    template = config.get("template")
    filled = values if template is None else fill(template, values)
    body = json.dumps(filled, ensure_ascii=False).encode("utf-8", "replace")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Logray",
        # The same over all attempts: a receiver that has seen it can drop the repetition.
        "Idempotency-Key": key,
        TIMESTAMP: str(sent_at_s),
    }
    secret = config.get("secret")
    if secret:
        headers[SIGNATURE] = f"sha256={signature(secret, sent_at_s, body)}"
    own = config.get("headers") or {}
    replaced = {name.lower() for name in own}
    headers = {name: value for name, value in headers.items() if name.lower() not in replaced}
    return HttpMessage(str(config["url"]), body, {**headers, **own}, str(config.get("method", "POST")))


def signature(secret: str, sent_at_s: int, body: bytes) -> str:
    """What a receiver computes to know that the request is ours, and recent."""
    return hmac.new(secret.encode(), f"{sent_at_s}.".encode() + body, hashlib.sha256).hexdigest()
