"""Who can be told, as people write it: one model a kind of receiver, and which of its fields are secret."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from alerts.rule import Target
from alerts.template import template_problem

MASK: Final = "********"
TARGETS_MAX: Final = 20
HEADERS_MAX: Final = 50
FORBIDDEN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class TargetBody(BaseModel):
    """A frozen model without keys of the client's own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be an http or https URL")
    if any(character.isspace() or character < "!" for character in text):
        raise ValueError("must not have blanks")
    return text


HttpUrl = Annotated[str, Field(max_length=2048), AfterValidator(_http_url)]


class SlackTarget(TargetBody):
    """A channel; by the service's own token or webhook unless the target brings one."""

    type: Literal["slack"]
    channel: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    webhook_url: HttpUrl | None = None
    token: Annotated[str | None, Field(min_length=1, max_length=500)] = None


class PagerDutyTarget(TargetBody):
    """A service of PagerDuty, by its integration key (also called routing key)."""

    type: Literal["pagerduty"]
    service_key: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="before")
    @classmethod
    def _by_either_name(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "routing_key" in value and "service_key" not in value:
            return {("service_key" if name == "routing_key" else name): each for name, each in value.items()}
        return value


class WebhookTarget(TargetBody):
    """Any URL; `secret` signs the body, `template` replaces it."""

    type: Literal["webhook"]
    url: HttpUrl
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: Annotated[dict[str, str], Field(max_length=HEADERS_MAX)] = {}
    secret: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    template: Any = None

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"{name!r} is not a header's name")
            if name.lower() in FORBIDDEN_HEADERS:
                raise ValueError(f"{name} cannot be set")
            if not value.isprintable():
                raise ValueError(f"the value of {name} must be printable text on one line")
        return headers

    @field_validator("template")
    @classmethod
    def _fillable(cls, template: Any) -> Any:
        problem = template_problem(template)
        if problem is not None:
            raise ValueError(problem)
        return template


def _addresses(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class EmailTarget(TargetBody):
    """One address or several, by the service's SMTP server."""

    type: Literal["email"]
    to: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    subject: Annotated[str | None, Field(max_length=200)] = None

    @field_validator("to", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return _addresses(value)

    @field_validator("to")
    @classmethod
    def _addressable(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            name, _, host = address.rpartition("@")
            if not name or not host or not address.isprintable() or any(c in address for c in ' <>,;"\\'):
                raise ValueError(f"{address[:100]!r} is not an email address")
        return addresses

    @field_validator("subject")
    @classmethod
    def _one_line(cls, subject: str | None) -> str | None:
        if subject is not None and not subject.isprintable():
            raise ValueError("must be printable text on one line")
        return subject


AnyTarget = Annotated[
    SlackTarget | PagerDutyTarget | WebhookTarget | EmailTarget, Field(discriminator="type")
]
KINDS: Final = frozenset({"slack", "pagerduty", "webhook", "email"})
SECRET_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "slack": ("webhook_url", "token"),
    "pagerduty": ("service_key",),
    "webhook": ("secret",),
    "email": (),
}


def target_of(body: BaseModel, place: str) -> Target:
    """A target as it is told; `place` tells apart two that are the same."""
    config = body.model_dump(mode="json", exclude_none=True)
    digest = hashlib.sha256(json.dumps([place, config], sort_keys=True).encode()).hexdigest()[:12]
    kind = config.pop("type")
    return Target(f"{kind}-{digest}", kind, config)


def masked(target: Mapping[str, Any]) -> dict[str, Any]:
    """A target as the API shows it: what opens a door is hidden."""
    shown = dict(target)
    for name in SECRET_FIELDS.get(str(target.get("type")), ()):
        if shown.get(name) is not None:
            shown[name] = MASK
    if target.get("type") == "webhook":
        shown["headers"] = dict.fromkeys(target.get("headers") or {}, MASK)
        shown["url"] = masked_url(str(target["url"]))
    return shown


def masked_url(url: str) -> str:
    """A URL without its password and the values of its parameters, which often are tokens."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")
    netloc = f"{MASK}@{host[2]}" if host[1] else parts.netloc
    query = "&".join(f"{pair.partition('=')[0]}={MASK}" for pair in parts.query.split("&") if pair)
    return parts._replace(netloc=netloc, query=query, fragment="").geturl()


def unmasked(sent: Any, kept: list[Mapping[str, Any]]) -> Any:
    """A list of targets in which what came back masked is what was kept: one of the same kind that looks
    the same.
    """
    if not isinstance(sent, list):
        return sent
    left = list(kept)
    return [_unmasked_one(each, left) for each in sent]


def _unmasked_one(sent: Any, left: list[Mapping[str, Any]]) -> Any:
    if not isinstance(sent, dict) or MASK not in json.dumps(sent, default=str):
        return sent
    for index, kept in enumerate(left):
        if kept.get("type") == sent.get("type") and _looks_alike(sent, masked(kept)):
            del left[index]
            return {
                **sent,
                **{name: kept[name] for name in sent if _hidden(masked(kept).get(name)) and name in kept},
            }
    return sent


def _looks_alike(sent: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    return all(shown.get(name) == value for name, value in sent.items() if _hidden(value))


def _hidden(value: Any) -> bool:
    return MASK in json.dumps(value, default=str)


def still_masked(target: Mapping[str, Any]) -> str | None:
    """The field that holds the mask instead of a secret, since nothing was kept that it could stand for."""
    for name, value in target.items():
        if name != "template" and _hidden(value):
            return name
    return None
