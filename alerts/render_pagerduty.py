"""A notice to PagerDuty: Events API v2, one deduplication key an episode.

https://developer.pagerduty.com/docs/send-alert-event
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from alerts.outgoing import HttpMessage
from core.settings import AlertSettings

SUMMARY_MAX: Final = 1024
DEDUP_KEY_MAX: Final = 255
ACTIONS: Final = {"resolved": "resolve", "error_resolved": "resolve", "acknowledged": "acknowledge"}
EVENT_BYTES_MAX: Final = 512 * 1024


def pagerduty_message(
    content: Mapping[str, Any], config: Mapping[str, Any], settings: AlertSettings
) -> HttpMessage:
    """The event: trigger, acknowledge or resolve."""
    action = ACTIONS.get(content["event"], "trigger")
    # An error and an alert of the same moment are two incidents.
    of_error = "-error" if content["event"] in ("error", "error_resolved") else ""
    group = f"-{content['group']}" if content["group"] else ""
    event: dict[str, Any] = {
        "routing_key": config["service_key"],
        "event_action": action,
        "dedup_key": _dedup_key(f"logray-{content['episode']}{of_error}", group),
    }
    if action == "trigger":
        event |= {
            "payload": _payload(content),
            "client": "Logray",
            "client_url": content["links"]["alert"],
            "links": [{"href": content["links"]["search"], "text": "Show these logs"}],
        }
    body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    if len(body) > EVENT_BYTES_MAX:
        event["payload"]["custom_details"].pop("sample_logs")
        body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    url = settings.pagerduty_base_url.rstrip("/") + "/v2/enqueue"
    return HttpMessage(url, body, {"Content-Type": "application/json"}, "POST", guarded=False)


def _dedup_key(episode: str, group: str) -> str:
    if len(episode + group) <= DEDUP_KEY_MAX and group.isascii():
        return episode + group
    return f"{episode}-{hashlib.sha256(group.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _payload(content: Mapping[str, Any]) -> dict[str, Any]:
    rule = content["rule"]
    return {
        "summary": content["summary"][:SUMMARY_MAX],
        "source": "logray",
        "severity": content["severity"],
        "timestamp": content["at"],
        "component": rule["name"],
        "group": content["group"] or None,
        "class": content["event"],
        "custom_details": {
            "query": rule["query"],
            "value": content["value"],
            "condition": content["condition"],
            "window_from": content["window_from"],
            "window_until": content["window_until"],
            "labels": rule["labels"],
            "error": content["error"],
            "new_values": content["new_values"],
            "sample_logs": content["sample_logs"],
        },
    }
