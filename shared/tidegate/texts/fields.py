"""Bytes become the fields of a request on texts, or an error that names the field's path."""

from typing import Any, Literal, TypeVar

import msgspec

from tidegate.chat.fields import MAX_FIELDS
from tidegate.chat.parse import invalid_value
from tidegate.domain.gateway_fields import GatewayFields, Name
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject

_FieldsT = TypeVar("_FieldsT", bound="TextsFields")


class TextsFields(GatewayFields, frozen=True, kw_only=True):
    """The fields that all operations on texts have. None of them streams."""

    model: Name
    stream: Literal[False] | None = None
    user: str | None = None


def convert(raw: JsonObject, fields: type[_FieldsT]) -> _FieldsT:
    """Validate the object `raw`. Raises `InvalidRequest`, with the field's path in `param`."""
    if len(raw) > MAX_FIELDS:
        raise InvalidRequest(f"The body has more than {MAX_FIELDS} fields.")
    try:
        converted: Any = msgspec.convert(raw, fields)
    except msgspec.ValidationError as error:
        raise invalid_value(str(error), raw) from None
    return converted
