"""A notice as a mail: text and HTML, both whole."""

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from alerts.notice import number_text
from alerts.outgoing import Mail, NotConfigured
from alerts.render_slack import sample_line
from core.settings import AlertSettings

SUBJECT_MAX: Final = 200
_COLOURS: Final = {"alerting": "#c62828", "no_data": "#616161", "ok": "#2e7d32", "error": "#ef6c00"}


def email_message(
    key: str, content: Mapping[str, Any], config: Mapping[str, Any], settings: AlertSettings, at_s: float
) -> Mail:
    """The mail. Raises NotConfigured without an SMTP server."""
    if settings.smtp_host is None:
        raise NotConfigured("email is not configured: set LOGRAY_ALERTS_SMTP_HOST")
    mail = EmailMessage()
    mark = content["state"].upper().replace("_", " ")
    subject = config.get("subject") or f"[{mark}] {content['summary']}"
    mail["Subject"] = " ".join(subject.split())[:SUBJECT_MAX]
    mail["From"] = settings.smtp_from
    mail["To"] = ", ".join(config["to"])
    mail["Date"] = format_datetime(datetime.fromtimestamp(at_s, UTC))
    # The same over all attempts: mail systems drop a repetition.
    mail["Message-ID"] = f"<{key}@{settings.smtp_from.rpartition('@')[2] or 'logray'}>"
    mail["Auto-Submitted"] = "auto-generated"
    # A thread an episode.
    mail["References"] = f"<{content['episode']}@logray>"
    mail.set_content(_text(content))
    mail.add_alternative(_html(content), subtype="html")
    return Mail(mail, tuple(config["to"]))


def _figures(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    rule = content["rule"]
    figures = [
        ("Rule", rule["name"]),
        ("State", content["state"]),
        ("Severity", content["severity"]),
        ("Value", number_text(content["value"])),
        ("Condition", content["condition"]),
        ("Window", f"{content['window_from']} – {content['window_until']}"),
        ("Query", rule["query"]),
    ]
    if content["group_by"]:
        figures.insert(1, (str(content["group_by"]), content["group"]))
    if content["error"]:
        figures.append(("Error", str(content["error"])))
    if content["new_values"]:
        figures.append(("New values", ", ".join(content["new_values"])))
    return figures


def _text(content: Mapping[str, Any]) -> str:
    lines = [content["summary"], ""]
    if content["rule"]["description"]:
        lines += [content["rule"]["description"], ""]
    lines += [f"{name + ':':<12}{value}" for name, value in _figures(content)]
    if content["sample_logs"]:
        lines += ["", "The newest of the logs:", *(f"  {sample_line(log)}" for log in content["sample_logs"])]
    lines += ["", f"Logs: {content['links']['search']}", f"Rule: {content['links']['alert']}", ""]
    return "\n".join(lines)


def _html(content: Mapping[str, Any]) -> str:
    colour = _COLOURS[content["state"]]
    rows = "".join(
        f"<tr><th align=left>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in _figures(content)
    )
    samples = "\n".join(html.escape(sample_line(log)) for log in content["sample_logs"])
    logs = f"<p>The newest of the logs:</p><pre>{samples}</pre>" if samples else ""
    description = html.escape(content["rule"]["description"])
    search, alert = (html.escape(content["links"][name], quote=True) for name in ("search", "alert"))
    return (
        f'<html><body><h2 style="color:{colour}">{html.escape(content["summary"])}</h2><p>{description}</p>'
        f'<table cellpadding=4>{rows}</table>{logs}<p><a href="{search}">Show these logs</a> · '
        f'<a href="{alert}">Rule</a></p></body></html>'
    )
