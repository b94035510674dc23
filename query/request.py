"""The body of a search, as a client sends it; unknown keys and wrong types are errors with their path."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, field_validator, model_validator

from core.errors import InvalidSearch
from query.aggregation_request import SIZE_MAX, AggregationRequest
from query.times import UNIT_NS

LIMIT_MAX: Final = 10_000
OFFSET_MAX: Final = 100_000  # beyond, a cursor costs less than what it skips
PROJECTION_FIELDS_MAX: Final = 1000
AGGREGATIONS_MAX: Final = 20
CONTEXT_MAX: Final = 1000

Time = str | int | float
Request = TypeVar("Request", bound=BaseModel)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h)?")
_REASONS: Final = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
    "string_pattern_mismatch": "is not a cursor: take next_cursor of the answer before",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
}
_CURSOR: Final = r"[0-9a-f]{16}-[0-9a-f]{16}"


class Body(BaseModel):
    """A frozen body without keys of its own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RangeRequest(Body):
    """Which logs: the query and the time range, both ends optional."""

    query: str = "*"
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None
    timeout: Annotated[float | None, Strict(False)] = None  # s

    @field_validator("timeout", mode="before")
    @classmethod
    def _duration(cls, value: object) -> object:
        return seconds(value) if value is not None else None


class SearchRequest(RangeRequest):
    """POST /api/v1/search."""

    limit: Annotated[int, Field(ge=0, le=LIMIT_MAX)] = 100
    offset: Annotated[int, Field(ge=0, le=OFFSET_MAX)] = 0
    cursor: Annotated[str | None, Field(pattern=f"^{_CURSOR}$")] = None
    order: Literal["desc", "asc"] = "desc"
    fields: Annotated[tuple[str, ...] | None, Field(max_length=PROJECTION_FIELDS_MAX), Strict(False)] = None
    highlight: bool = True
    count: Literal["auto", "exact", "none"] = "auto"
    aggregations: Annotated[dict[str, AggregationRequest], Field(max_length=AGGREGATIONS_MAX)] = {}
    explain: bool = False

    @model_validator(mode="after")
    def _one_way_to_page(self) -> Self:
        if self.cursor is not None and self.offset:
            raise ValueError("cursor and offset exclude each other")
        return self


class FieldsRequest(RangeRequest):
    """GET /api/v1/fields."""


class ValuesRequest(RangeRequest):
    """GET /api/v1/fields/{name}/values: the most frequent values."""

    size: Annotated[int, Field(ge=1, le=SIZE_MAX), Strict(False)] = 100


class ContextRequest(Body):
    """GET /api/v1/logs/{id}/context: so many logs before and after."""

    before: Annotated[int, Field(ge=0, le=CONTEXT_MAX), Strict(False)] = 10
    after: Annotated[int, Field(ge=0, le=CONTEXT_MAX), Strict(False)] = 10


class ExportRequest(RangeRequest):
    """POST /api/v1/search/export: all matches, or the first `limit`."""

    order: Literal["desc", "asc"] = "desc"
    fields: Annotated[tuple[str, ...] | None, Field(max_length=PROJECTION_FIELDS_MAX), Strict(False)] = None
    format: Literal["jsonl", "csv"] = "jsonl"
    gzip: bool = False
    limit: Annotated[int | None, Field(ge=1)] = None


def parse_request(model: type[Request], body: object) -> Request:
    """The request that a decoded JSON body holds. Raises InvalidSearch with the path of each wrong field."""
    if not isinstance(body, Mapping):
        raise InvalidSearch({"body": "must be a JSON object"})
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidSearch(problems(error)) from None


def problems(error: ValidationError) -> dict[str, str]:
    """Path → reason, in our words where pydantic's speak of Python."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        path = _path(each["loc"]) or "body"
        found.setdefault(
            path, "must be a time" if path in ("from", "to") else _reason(each["type"], each["msg"])
        )
    return found


def seconds(value: Any) -> float:
    """A duration in seconds: a number, or text as `30s`, `500ms`, `2m`. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("must be a duration: 30 or 30s")
    if isinstance(value, (int, float)):
        duration = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        duration = float(match[1]) * UNIT_NS[match[2] or "s"] / 1e9
    else:
        raise ValueError("must be a duration: 30 or 30s")
    if not 0 < duration < 1e9:
        raise ValueError("must be more than 0")
    return duration


def _path(location: tuple[str | int, ...]) -> str:
    # pydantic puts the member of a union into the path: `from.str`, `aggregations.by_level.terms.field`
    parts = [
        str(part)
        for index, part in enumerate(location)
        if not (index == 1 and location[0] in ("from", "to"))
        and not (index >= 2 and location[index - 2] == "aggregations")
    ]
    return ".".join(parts)


def _reason(kind: str, message: str) -> str:
    if kind in _REASONS:
        return _REASONS[kind]
    return message.removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
