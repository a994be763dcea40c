"""The faults of the demo provider: `error-429` and others, timeouts, and connections that break.

Source of the errors' form and words: https://platform.openai.com/docs/guides/error-codes/api-errors (2026-11).
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from tidegate.json import Json, JsonObject, encode

_ERROR_MODEL = re.compile(r"error-([45]\d\d)")

_KINDS = {
    400: ("invalid_request_error", None, "The demo provider refuses this request, as asked for."),
    401: ("invalid_request_error", "invalid_api_key", "The demo provider refuses the gateway's key, as asked for."),
    404: ("invalid_request_error", "model_not_found", "The demo provider does not have this model, as asked for."),
    429: ("requests", "rate_limit_exceeded", "The demo provider's rate limit is reached, as asked for."),
    500: ("server_error", None, "The demo provider has an internal error, as asked for."),
    503: ("server_error", None, "The demo provider is overloaded, as asked for."),
}
_PAUSE_SECONDS = 1


class Fault(Struct, frozen=True):
    """An error that the provider answers with, instead of a completion."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def find_fault(model: str) -> Fault | None:
    """Return the error of a model such as `error-429`, None for another model."""
    match = _ERROR_MODEL.fullmatch(model)
    if match is None:
        return None
    status = int(match[1])
    unknown = ("server_error" if status >= 500 else "invalid_request_error", None, f"Status {status}, as asked for.")
    kind, code, message = _KINDS.get(status, unknown)
    return _fault(status, kind, code, message)


def unknown_model(model: str, models: str) -> Fault:
    """Return the error for a model that the provider does not have; `models` names those that it has."""
    message = f"The demo provider does not have the model {model!r}. It has {models}."
    return _fault(404, "invalid_request_error", "model_not_found", message)


def _fault(status: int, kind: str, code: str | None, message: str) -> Fault:
    error: JsonObject = {"message": message, "type": kind, "param": None, "code": code}
    headers = {"content-type": "application/json"}
    if status == 429:
        headers["retry-after"] = str(_PAUSE_SECONDS)
    body: Json = {"error": error}
    return Fault(status, encode(body), headers)
