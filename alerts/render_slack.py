"""A notice to Slack: blocks, by an incoming webhook or chat.postMessage.

https://docs.slack.dev/reference/block-kit/blocks, https://docs.slack.dev/reference/methods/chat.postMessage
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from alerts.notice import number_text
from alerts.outgoing import HttpMessage, NotConfigured
from core.settings import AlertSettings

TEXT_MAX: Final = 3000  # of a section
HEADER_MAX: Final = 150
SAMPLE_MAX: Final = 300
REPEATED: Final = "This may be a repetition: Slack did not confirm the message that was sent before."
_SIGNS: Final = {"alerting": "🔴", "no_data": "⚪", "ok": "🟢", "error": "🟠"}


def slack_message(
    content: Mapping[str, Any], config: Mapping[str, Any], settings: AlertSettings, *, repeated: bool = False
) -> HttpMessage:
    """The request; `repeated` when Slack may have taken it before, which Slack cannot tell by itself.

    Raises NotConfigured when neither the target nor the settings have a token or a webhook.
    """
    message: dict[str, Any] = {"text": _escape(content["summary"]), "blocks": blocks(content)}
    if repeated:
        message["blocks"].append({"type": "context", "elements": [_text(REPEATED)]})
    if config.get("channel"):
        message["channel"] = config["channel"]
    url, headers, guarded = _door(config, settings)
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    return HttpMessage(
        url, body, {"Content-Type": "application/json; charset=utf-8", **headers}, "POST", guarded
    )


def _door(config: Mapping[str, Any], settings: AlertSettings) -> tuple[str, dict[str, str], bool]:
    """URL, headers and whether the URL is the client's: the target's own door first, then the service's."""
    token = config.get("token")
    if config.get("webhook_url"):
        return str(config["webhook_url"]), {}, True
    if token is None and settings.slack_token is not None:
        token = settings.slack_token.get_secret_value()
    if token is not None and config.get("channel"):
        url = settings.slack_base_url.rstrip("/") + "/chat.postMessage"
        return url, {"Authorization": f"Bearer {token}"}, False
    if settings.slack_webhook_url is not None:
        return settings.slack_webhook_url.get_secret_value(), {}, False
    raise NotConfigured(
        "Slack is not configured: set LOGRAY_ALERTS_SLACK_TOKEN or LOGRAY_ALERTS_SLACK_WEBHOOK_URL"
    )


def blocks(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Headline, the figures, the lines that caused it, and the links."""
    sign = _SIGNS[content["state"]]
    rule = content["rule"]
    fields = [
        ("Severity", content["severity"]),
        ("State", content["state"]),
        ("Value", number_text(content["value"])),
        ("Condition", content["condition"]),
        ("Window", f"{content['window_from']} – {content['window_until']}"),
        ("Query", f"`{rule['query'][:500]}`"),
    ]
    if content["group_by"]:
        fields.insert(0, (str(content["group_by"]), content["group"]))
    found: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": f"{sign} {rule['name']}"[:HEADER_MAX]}},
        _section(f"*{_escape(content['summary'])}*"),
        {
            "type": "section",
            "fields": [_text(f"*{_escape(name)}*\n{_escape(str(value))}") for name, value in fields],
        },
    ]
    if content["error"]:
        found.append(_section(_escape(str(content["error"]))))
    if content["sample_logs"]:
        lines = "\n".join(_escape(sample_line(log)) for log in content["sample_logs"])
        found.append(_section(f"```{lines[: TEXT_MAX - 10]}```"))
    links = content["links"]
    search, alert = (_escape(links[name]) for name in ("search", "alert"))
    found.append(_section(f"<{search}|Show these logs> · <{alert}|Rule>"))
    return found


def sample_line(log: Mapping[str, Any]) -> str:
    """A log on one line."""
    parts = [log.get("timestamp"), log.get("level"), log.get("service"), log.get("message")]
    line = " ".join(str(part) for part in parts if part)
    return " ".join(line.split())[:SAMPLE_MAX]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text[:TEXT_MAX]}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
