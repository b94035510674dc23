"""What somebody sends becomes a model, or a reason for each wrong field by its path."""

from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alerts.targets import KINDS
from core.errors import InvalidRequest

_REASONS: Final = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "union_tag_not_found": "must have a type: slack, pagerduty, webhook or email",
    "union_tag_invalid": "type must be slack, pagerduty, webhook or email",
}

Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A frozen body without keys of the client's own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def validate(model: type[Model], body: object) -> Model:
    """The model that a decoded JSON body holds. Raises InvalidRequest with the path of each wrong field."""
    if not isinstance(body, Mapping):
        raise InvalidRequest({"body": "must be a JSON object"})
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(_problems(error)) from None


def _problems(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        # pydantic puts the kind of a target and the members of a union into the path.
        parts = [
            str(part)
            for index, part in enumerate(each["loc"])
            if not (part in KINDS and index and isinstance(each["loc"][index - 1], int))
            and not str(part).startswith(("Severities", "float", "constrained-", "function-"))
        ]
        message = (
            each["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
        )
        path = ".".join(parts) or "body"
        if each["type"] == "too_short" and any(other.startswith(f"{path}.") for other in found):
            continue  # too short without the wrong one, which is named already
        found.setdefault(path, _REASONS.get(each["type"], message))
    return found
