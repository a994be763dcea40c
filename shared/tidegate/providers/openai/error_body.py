"""Parses the body of a failure, which has one of a dozen shapes.

Shapes recorded: {error: {message, type, code, param}}; {error: text, code} (xAI); {detail} (Mistral, FastAPI);
{message, type, code, param} (Cerebras, Cohere); {error_code, message} (Databricks); [{error}] (Gemini); HTML; nothing.
"""

import re

import msgspec
from msgspec import Struct

from tidegate.json import Json, JsonObject, decode, decode_or_none
from tidegate.lazy import late_pattern

MAX_MESSAGE = 2000

_KEYS = late_pattern(
    r"\b(?:sk|pk|rk|gsk|csk|xai|hf|fw|r8|tgp|pplx|nvapi|dapi|key)[-_](?=[\w*.-]{0,99}[\d*])[\w*.-]{12,}"
    r"|\b(?:AIza|AKIA|ASIA|ya29|eyJ|dapi)[\w.-]{12,}"
    r"|(?<=bearer )\S{8,}|(?<=key provided: )\S+|(?<=api key: )\S+"
    r"|\b\w{2,12}\*{3,}[\w*-]*",  # masked
    re.ASCII | re.I,
)
_ACCOUNTS = late_pattern(
    r"\barn:aws[\w-]*:[^\s'\",)]+"
    r"|(?<=\bprojects/)[\w-]+|(?<=\bproject )\d{6,}|(?<=\bproject_number:)\d{6,}"
    r"|\b(?:org-|proj_)(?=[a-z_]*[A-Z0-9])\w{8,}|\buser-(?=[a-z_]*[A-Z0-9])\w{16,}"
    r"|(?<=\borg: )[\w-]{8,}",  # Anthropic's
    re.ASCII,
)
_LINK = late_pattern(r"(https?://[^\s?\"'<>]{1,2000}\?)([^\s\"'<>]+)", re.I)
_SIGNED = late_pattern(r"sig(nature)?=|credential=|token=|key=", re.I)
_TAGS = late_pattern(r"<(script|style|head)\b.*?</\1\s*>|<[^>]{0,2000}>", re.I | re.S)


_MESSAGES = ("message", "msg", "error_message", "error_msg", "error_description", "status_msg", "title")


class ErrorBody(Struct, frozen=True):
    """The content of an error body. `codes` are its codes and types in lower case; `metadata` is OpenRouter's."""

    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    metadata: Json = None
    codes: frozenset[str] = frozenset()


def parse_error_body(body: Json | str) -> ErrorBody:
    """Parse the body of a failure. Never raises: an unknown shape gives an empty message."""
    match body:
        case str(text):
            return ErrorBody(_plain(text))
        case [dict(first), *_]:
            return parse_error_body(first)
        case {"error": {"error": dict() as inner}}:
            return parse_error_body({"error": inner})
        case {"error": {"message": _} as error}:
            return _error(error)
        case {"error": dict(error)}:
            return _error({**error, "message": error.get("detail") or error.get("code")})
        case {"error": str(text)} if (inner := _json_object(text)) is not None:
            return parse_error_body(inner)
        case {"error": str(text)}:
            return _error({**body, "message": body.get("message") or text, "type": body.get("error_type")})
        case {"detail": detail} | {"details": detail} | {"errors": detail}:
            return _error({**body, "message": _sentence(detail)})
        case dict():
            return _error(body)
        case _:
            return ErrorBody("")


def scrub(message: str) -> str:
    """Return `message` without anything that looks like a key, a signed URL's signature or an account's id."""
    return _masked(message)[:MAX_MESSAGE]


def scrub_body(value: Json) -> Json:
    """Return the body of a failure, all of whose texts are masked as in `scrub`."""
    match value:
        case str(text):
            return _masked(text)
        case list(items):
            return [scrub_body(item) for item in items]
        case dict(fields):
            return {name: scrub_body(inner) for name, inner in fields.items()}
        case _:
            return value


def _masked(text: str) -> str:
    return _KEYS.sub("[redacted]", _ACCOUNTS.sub("[redacted]", _LINK.sub(_unsigned, text)))


def _unsigned(url: re.Match[str]) -> str:
    return f"{url[1]}[redacted]" if _SIGNED.search(url[2]) else url[0]


def _error(error: JsonObject) -> ErrorBody:
    code, error_type, status = error.get("code"), error.get("type") or error.get("error_type"), error.get("status_code")
    codes = [code, error_type, error.get("status"), error.get("error_code"), error.get("reason")]
    match error.get("innererror"):  # Azure
        case {"code": inner}:
            codes.append(inner)
        case _:
            pass
    number = next((n for n in (status, code) if isinstance(n, int) or (isinstance(n, str) and n.isdecimal())), None)
    metadata = error.get("metadata")
    param = error.get("param") or _path(error.get("message")) or _path(error.get("detail"))
    return ErrorBody(
        message=_with_cause(next(filter(None, (_sentence(error.get(name)) for name in _MESSAGES)), ""), metadata),
        code=_text(code) or _text(error.get("error_code")),
        type=_text(error_type) or _text(error.get("status")),
        param=param if isinstance(param, str) and param else None,
        status=int(str(number)) if number is not None and len(str(number)) == 3 else None,
        metadata=metadata,
        codes=frozenset(str(word).lower() for word in codes if word is not None),
    )


def _json_object(text: str) -> JsonObject | None:
    """Return the object in an error's text: proxies wrap the whole body of another server."""
    value = decode_or_none(text) if text.lstrip().startswith("{") else None
    return value if isinstance(value, dict) else None


def _with_cause(message: str, metadata: Json) -> str:
    """Append the cause, which OpenRouter sends in `metadata.raw` with the message "Provider returned error"."""
    match metadata:
        case {"raw": str(raw)} if raw.strip():
            try:
                cause = parse_error_body(decode(raw)).message
            except (msgspec.DecodeError, RecursionError):
                cause = ""
            return f"{message}: {cause or _plain(raw)}"
        case _:
            return message


def _sentence(value: Json) -> str:
    """Return one line from a message that is text, an object or FastAPI's list of {loc, msg}."""
    match value:
        case str(text):
            return text
        case {"msg": str(text), "loc": list(path)}:
            return f"{'.'.join(str(step) for step in path)}: {text}"
        case {"message": inner} | {"detail": inner} | {"msg": inner} | {"error": inner}:
            return _sentence(inner)
        case list(items):
            return "; ".join(filter(None, (_sentence(item) for item in items)))
        case _:
            return ""


def _path(value: Json) -> str:
    """Return the field that FastAPI or Mistral refuses, from [{loc: ["body", "stop", 0]}]."""
    match value:
        case {"detail": list(items)} | [*items] if items:
            return _path(items[0])
        case {"loc": ["body", *steps]}:
            return ".".join(str(step) for step in steps)
        case _:
            return ""


def _plain(text: str) -> str:
    """Return the start of a text without HTML: the error pages of proxies hold a status line and little else."""
    if "<" in text:
        text = _TAGS.sub(" ", text[:20_000])
    return " ".join(text.split())[:300]


def _text(value: Json) -> str | None:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None
