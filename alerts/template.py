"""JSON templates of webhooks: `{{rule.name}}` is replaced, and nothing else can happen.

A template is any JSON. A text that is a place and nothing else becomes the value itself, whatever its type;
places inside a longer text become text. There are no conditions, loops, calls or attributes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

TEMPLATE_BYTES_MAX: Final = 32_768
TEMPLATE_NESTING_MAX: Final = 16
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")

# Everything that a notice has; alerts.notice makes it.
PLACES: Final = frozenset({
    "id", "event", "state", "severity", "group", "group_by", "value", "threshold", "operator",
    "condition", "window", "window_from", "window_until", "episode", "since", "at", "number", "summary",
    "error", "detail", "new_values", "sample_logs", "links", "links.search", "links.alert", "rule",
    "rule.id", "rule.name", "rule.description", "rule.query", "rule.labels",
})  # fmt: skip


def template_problem(template: Any) -> str | None:
    """Why the template cannot be used; None when it can."""
    if template is None:
        return None
    if len(json.dumps(template).encode()) > TEMPLATE_BYTES_MAX:
        return f"has more than {TEMPLATE_BYTES_MAX} bytes"
    return _problem(template, 0)


def _problem(part: Any, depth: int) -> str | None:
    if depth > TEMPLATE_NESTING_MAX:
        return f"is nested deeper than {TEMPLATE_NESTING_MAX}"
    if isinstance(part, str):
        for name in _PLACE.findall(part):
            if name not in PLACES and not name.startswith("rule.labels."):
                return f"there is no {{{{{name}}}}}: use one of {', '.join(sorted(PLACES))}"
        return None
    inner = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
    return next((problem for each in inner if (problem := _problem(each, depth + 1))), None)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its places filled; a place without a value is null, in a longer text nothing."""
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        if whole is not None:
            return _look_up(whole[1], values)
        return _PLACE.sub(lambda place: _text(_look_up(place[1], values)), template)
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def _look_up(path: str, values: Mapping[str, Any]) -> Any:
    if path.startswith("rule.labels."):
        labels = values["rule"]["labels"]
        return labels.get(path.removeprefix("rule.labels."))
    found: Any = values
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
