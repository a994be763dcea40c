"""Pydantic field types of request bodies. Numbers must be JSON numbers; only money may be a string."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr

from tidegate.control.validation import (
    MAX_COUNT,
    MAX_NAME_CHARACTERS,
    MAX_PATTERNS,
    MAX_SHARDS,
    MAX_TRACE_DAYS,
    MAX_USD,
)
from tidegate.domain.gateway_fields import MAX_CACHE_TTL_SECONDS
from tidegate.domain.limits import MAX_FIRST_DAY
from tidegate.policy.guardrails.definition import MAX_URL_CHARACTERS


class RequestBody(BaseModel):
    """The base of all request bodies. Unknown fields are refused, because they are mistakes."""

    model_config = ConfigDict(extra="forbid")


def _check_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number, or a number as a string")
    return value


def _check_time_text(value: object) -> object:
    if not isinstance(value, str) or value[:5].isdigit():
        raise ValueError("must be an ISO 8601 time as a string, e.g. 2027-01-31T12:00:00Z")
    return value


def _as_utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Flag = StrictBool
Name = Annotated[StrictStr, Field(max_length=MAX_NAME_CHARACTERS)]
Id = Annotated[StrictStr, Field(max_length=64)]
Pattern = Annotated[StrictStr, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=MAX_PATTERNS)]
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT)]
Shards = Annotated[int, Field(strict=True, ge=1, le=MAX_SHARDS)]
FirstDay = Annotated[int, Field(strict=True, ge=1, le=MAX_FIRST_DAY)]
CacheTtl = Annotated[int, Field(strict=True, ge=1, le=MAX_CACHE_TTL_SECONDS)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
TraceDays = Annotated[int, Field(strict=True, ge=1, le=MAX_TRACE_DAYS)]
Url = Annotated[StrictStr, Field(max_length=MAX_URL_CHARACTERS)]
Usd = Annotated[Decimal, BeforeValidator(_check_number), Field(ge=0, le=MAX_USD, decimal_places=6)]
Timestamp = Annotated[datetime, BeforeValidator(_check_time_text), AfterValidator(_as_utc)]
"""An ISO 8601 time; without an offset it is UTC."""
