"""Fields of requests about files and batches, checked one by one, with OpenAI's messages and codes for their faults.

Source of the messages: errors of OpenAI's API as its clients report them (read 2026-11).
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

MIN_FILE_SECONDS = 3_600
MAX_FILE_SECONDS = 30 * 86_400
"""The bounds of `expires_after.seconds`. Source: https://platform.openai.com/docs/api-reference/files/create."""

MAX_PAIRS, MAX_NAME, MAX_VALUE = 16, 64, 512
"""The most pairs of `metadata`, and characters in their names and values."""

MAX_FILENAME = 512
MAX_BYTES = 1 << 53

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SHOWN = 80


class Fields(Struct, frozen=True):
    """The fields of a JSON body, or of a form or query: then all values `are_texts`. `path` is the prefix of names.

    All methods raise `InvalidRequest`. A field that is null counts as absent.
    """

    values: JsonObject
    are_texts: bool = False
    path: str = ""

    def text(self, name: str, *, choices: Sequence[str] = (), max_length: int = MAX_VALUE) -> str:
        """Return a text that must be there, and not be empty."""
        value = self.maybe_text(name, choices=choices, max_length=max_length)
        if value is None:
            raise missing(self.path + name)
        return value

    def maybe_text(self, name: str, *, choices: Sequence[str] = (), max_length: int = MAX_VALUE) -> str | None:
        """Return a text if it is there."""
        value, path = self.values.get(name), self.path + name
        if value is None:
            return None
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        if not value:
            message = f"Invalid {path!r}: empty string. Expected a string with minimum length 1."
            raise invalid(message, path, "empty_string")
        _check_length(path, value, max_length)
        if choices and value not in choices:
            known = ", ".join(f"'{choice}'" for choice in choices)
            raise invalid(f"Invalid value: {value[:_SHOWN]!r}. Supported values are: {known}.", path, "invalid_value")
        return value

    def integer(self, name: str, minimum: int, maximum: int, default: int | None = None) -> int:
        """Return an integer within its bounds; `default` if it is absent, unless that is None."""
        value, path = self.values.get(name), self.path + name
        if value is None and default is not None:
            return default
        if value is None:
            raise missing(path)
        if self.are_texts and isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(path, "an integer", value)
        if value < minimum:
            reason = f"integer below minimum value. Expected a value >= {minimum}, but got {value} instead."
            raise invalid(f"Invalid {path!r}: {reason}", path, "integer_below_min_value")
        if value > maximum:
            reason = f"integer above maximum value. Expected a value <= {maximum}, but got {value} instead."
            raise invalid(f"Invalid {path!r}: {reason}", path, "integer_above_max_value")
        return value

    def texts(self, name: str, maximum: int) -> list[str]:
        """Return a list of 1 to `maximum` texts, which must be there."""
        value, path = self.values.get(name), self.path + name
        if value is None:
            raise missing(path)
        if not isinstance(value, list):
            raise _wrong_type(path, "an array of strings", value)
        if not 1 <= len(value) <= maximum:
            reason = f"Expected an array with 1 to {maximum} items, but got {len(value)} instead."
            raise invalid(f"Invalid '{path}': {reason}", path, "array_above_max_length" if value else "empty_array")
        texts = [each for each in value if isinstance(each, str)]
        if len(texts) < len(value):
            raise invalid(f"Invalid type for '{path}': expected an array of strings.", path, "invalid_type")
        return texts

    def expiry_seconds(self, name: str) -> float | None:
        """Return the seconds of an `expires_after` if it is there."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _wrong_type(self.path + name, "an object", value)
        policy = Fields(value, self.are_texts, f"{self.path}{name}.")
        policy.text("anchor", choices=("created_at",))
        return float(policy.integer("seconds", MIN_FILE_SECONDS, MAX_FILE_SECONDS))

    def metadata(self) -> dict[str, str] | None:
        """Return the field `metadata` if it is there."""
        value = self.values.get("metadata")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _wrong_type("metadata", "an object", value)
        if len(value) > MAX_PAIRS:
            reason = (
                f"too many properties. Expected an object with at most {MAX_PAIRS} properties, but got {len(value)}."
            )
            raise invalid(f"Invalid 'metadata': {reason}", "metadata", "object_above_max_properties")
        pairs: dict[str, str] = {}
        for name, text in value.items():
            _check_length("metadata", name, MAX_NAME)
            path = f"metadata.{name}"
            if not isinstance(text, str):
                raise _wrong_type(path, "a string", text)
            _check_length(path, text, MAX_VALUE)
            pairs[name] = text
        return pairs


def missing(name: str) -> InvalidRequest:
    return invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def invalid(message: str, param: str | None, code: str | None) -> InvalidRequest:
    """Return an error with one of OpenAI's codes; None where OpenAI has no code."""
    error = InvalidRequest(message, param=param)
    error.code = code
    return error


def _check_length(path: str, text: str, maximum: int) -> None:
    if len(text) > maximum:
        reason = f"string too long. Expected a string with maximum length {maximum}, but got {len(text)} instead."
        raise invalid(f"Invalid '{path}': {reason}", path, "string_above_max_length")


def _wrong_type(path: str, expected: str, value: Json) -> InvalidRequest:
    return invalid(
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.", path, "invalid_type"
    )


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
