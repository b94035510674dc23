"""The aggregations of a search request, told apart by `type`; without one, the top values of a field."""

import math
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    field_validator,
    model_validator,
)

from query.intervals import parse_interval

SIZE_MAX: Final = 1000
SUB_AGGREGATIONS_MAX: Final = 10
PERCENTILES_MAX: Final = 20
FIELD_NAME_MAX: Final = 512


class Aggregation(BaseModel):
    """Something counted or computed of one field of all matching logs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: Annotated[str, Field(min_length=1, max_length=FIELD_NAME_MAX)]


class StatsRequest(Aggregation):
    """Count, min, max, sum and average of the numbers in a field."""

    type: Literal["stats"]


class PercentilesRequest(Aggregation):
    """Exact percentiles of the numbers in a field."""

    type: Literal["percentiles"]
    percents: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100)], ...],
        Field(min_length=1, max_length=PERCENTILES_MAX),
        Strict(False),
    ] = (50, 90, 95, 99)


class CardinalityRequest(Aggregation):
    """How many different values a field has."""

    type: Literal["cardinality"]


class MissingRequest(Aggregation):
    """How many logs do not have the field."""

    type: Literal["missing"]


class Bucketed(Aggregation):
    """An aggregation with buckets, each of which may be aggregated once more."""

    aggregations: Annotated[dict[str, "AggregationRequest"], Field(max_length=SUB_AGGREGATIONS_MAX)] = {}

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if any(isinstance(inner, Bucketed) and inner.aggregations for inner in self.aggregations.values()):
            raise ValueError("aggregations go one level deep")
        return self


class TermsRequest(Bucketed):
    """The most frequent values of a field and their counts."""

    type: Literal["terms"] = "terms"
    size: Annotated[int, Field(ge=1, le=SIZE_MAX)] = 10


class HistogramRequest(Bucketed):
    """Counts by interval of the timestamp, or of the numbers in a field."""

    type: Literal["histogram"]
    field: Annotated[str, Field(min_length=1, max_length=FIELD_NAME_MAX)] = "timestamp"
    interval: str | int | float = "auto"
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("is not a time zone: write UTC or Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _interval(self) -> Self:
        if isinstance(self.interval, str):
            if self.interval != "auto":
                parse_interval(self.interval)
        elif not (self.interval > 0 and math.isfinite(self.interval)):
            raise ValueError("interval must be more than 0")
        return self


def _type(value: Any) -> str:
    kind = value.get("type", "terms") if isinstance(value, dict) else getattr(value, "type", "terms")
    return kind if isinstance(kind, str) else ""


AggregationRequest = Annotated[
    Annotated[TermsRequest, Tag("terms")]
    | Annotated[HistogramRequest, Tag("histogram")]
    | Annotated[StatsRequest, Tag("stats")]
    | Annotated[PercentilesRequest, Tag("percentiles")]
    | Annotated[CardinalityRequest, Tag("cardinality")]
    | Annotated[MissingRequest, Tag("missing")],
    Discriminator(
        _type,
        custom_error_type="aggregation_type",
        custom_error_message="type must be terms, histogram, stats, percentiles, cardinality or missing",
    ),
]
