"""Parses guardrails from a JSON list of objects, checks the rules for their fields, and writes them back as JSON.

The operator's are in TIDEGATE_GUARDRAILS, a workspace's own in the admin API. `docs/GUARDRAILS.md` lists the fields.
"""

import re
from collections.abc import Callable
from typing import cast

import msgspec
from msgspec.structs import fields

from tidegate.domain.guardrails import (
    BUILT_IN_GUARDRAILS,
    DETECTOR_KINDS,
    REMOTE_KINDS,
    Guardrail,
    GuardrailKind,
    StageSelection,
)
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.lazy import load
from tidegate.policy.guardrails import words

MAX_GUARDRAILS = 50
MAX_BYTES = 64 * 1024
"""The limit of all guardrails of a workspace, which are read with every call."""

MAX_PATTERNS = 50
MAX_WORDS, MAX_WORD_CHARACTERS = 2000, 100
MAX_SCRIPTS = 20
MAX_URL_CHARACTERS = 2048

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[^\s#@]*)?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?(/[^\s#@]*)?")
_ID = re.compile(r"[a-z0-9]{1,64}|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+")
_VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_PATH_IN_ERROR = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")

_COMMON_FIELDS = frozenset({"name", "kind", "on", "action", "always", "fails"})
_WINDOW_FIELDS = frozenset({"stream", "window_characters"})
_FIELDS_OF_KIND: dict[GuardrailKind, frozenset[str]] = {
    "regex": _WINDOW_FIELDS | {"patterns"},
    "words": _WINDOW_FIELDS | {"words"},
    "secrets": _WINDOW_FIELDS | {"entities"},
    "personal": _WINDOW_FIELDS | {"entities"},
    "injection": frozenset(),
    "max_input": frozenset({"max_tokens", "max_characters"}),
    "json_schema": frozenset({"schema"}),
    "scripts": frozenset({"scripts"}),
    "bedrock": frozenset({"guardrail_id", "guardrail_version", "region", "timeout_seconds"}),
    "webhook": frozenset({"url", "secret", "timeout_seconds"}),
}
_ONLY_STAGE: dict[GuardrailKind, StageSelection] = {"injection": "input", "max_input": "input", "json_schema": "output"}


def parse_guardrails(value: Json, path: str = "guardrails", *, is_operator: bool = False) -> tuple[Guardrail, ...]:
    """Parse a list of guardrails. Raises `InvalidRequest` that names the field, such as `guardrails[0].url`."""
    if not isinstance(value, list):
        raise InvalidRequest(f"{path} must be a list of objects.", param=path)
    if len(value) > MAX_GUARDRAILS or len(encode(value)) > MAX_BYTES:
        raise InvalidRequest(f"{path} has more than {MAX_GUARDRAILS} guardrails or {MAX_BYTES} bytes.", param=path)
    guardrails: dict[str, Guardrail] = {}
    for i, entry in enumerate(value):
        guardrail = parse_guardrail(entry, f"{path}[{i}]", is_operator=is_operator)
        if guardrail.name in guardrails:
            raise InvalidRequest(f"The guardrail {guardrail.name!r} is listed twice.", param=f"{path}[{i}].name")
        guardrails[guardrail.name] = guardrail
    return tuple(guardrails.values())


def parse_guardrail(entry: Json, path: str, *, is_operator: bool = False) -> Guardrail:
    """Parse one guardrail. Raises `InvalidRequest` for its first invalid field."""
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS_OF_KIND:
        raise InvalidRequest(f"A guardrail's kind must be one of {', '.join(_FIELDS_OF_KIND)}.", param=f"{path}.kind")
    unknown = sorted(entry.keys() - _COMMON_FIELDS - _FIELDS_OF_KIND[kind])
    if unknown:
        known = ", ".join(sorted(_COMMON_FIELDS | _FIELDS_OF_KIND[kind]))
        message = f"A guardrail of kind {kind!r} has no field {unknown[0]!r}. Its fields are {known}."
        raise InvalidRequest(message, param=f"{path}.{unknown[0]}")
    values: JsonObject = {"on": _ONLY_STAGE.get(kind, "both"), **entry}
    if isinstance(values.get("schema"), dict | bool):
        values["schema"] = encode(values["schema"]).decode()
    try:
        guardrail = msgspec.convert(values, Guardrail)
    except msgspec.ValidationError as error:
        found = _PATH_IN_ERROR.search(str(error))
        value_path = f"{path}.{found['path']}" if found and found["path"] else path
        message = f"Invalid value for '{value_path}': {_PATH_IN_ERROR.sub('', str(error))}."
        raise InvalidRequest(message, param=value_path) from None
    _check(guardrail, path, is_operator)
    return guardrail


def guardrail_to_json(guardrail: Guardrail) -> JsonObject:
    """Write the guardrail as JSON: fields equal to their default are omitted, and a schema is an object."""
    values: JsonObject = {}
    for field in fields(Guardrail):
        value = cast(Json, getattr(guardrail, field.name))
        if field.name in ("name", "kind", "on") or value != field.default:
            values[field.name] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    if guardrail.schema is not None:
        values["schema"] = decode(guardrail.schema)
    return values


def _check(guardrail: Guardrail, path: str, is_operator: bool) -> None:
    def require(holds: bool, field: str, message: str) -> None:
        if not holds:
            raise InvalidRequest(message, param=f"{path}.{field}")

    kind = guardrail.kind
    message = "A name has 1 to 63 lower-case letters, digits, '.', '_' or '-'; the first is a letter or a digit."
    require(bool(_NAME.fullmatch(guardrail.name)), "name", message)
    is_built_in = guardrail.name in BUILT_IN_GUARDRAILS
    require(not is_built_in, "name", f"The name {guardrail.name!r} belongs to a built-in guardrail: choose another.")
    only = _ONLY_STAGE.get(kind)
    require(only in (None, guardrail.on), "on", f"A guardrail of kind {kind!r} can only run on {only!r}.")
    can_mask = kind in DETECTOR_KINDS or kind in REMOTE_KINDS
    require(guardrail.action == "block" or can_mask, "action", f"A guardrail of kind {kind!r} cannot mask, only block.")
    require(64 <= guardrail.window_characters <= 8192, "window_characters", "window_characters must be 64 to 8192.")
    require(0.1 <= guardrail.timeout_seconds <= 30, "timeout_seconds", "timeout_seconds must be 0.1 to 30.")
    _CHECK_OF_KIND.get(kind, _check_nothing)(guardrail, require, is_operator)


def _check_nothing(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    pass


def _check_regex(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    check_pattern = load("tidegate.policy.guardrails.regexes", "check_pattern")
    require(0 < len(guardrail.patterns) <= MAX_PATTERNS, "patterns", f"There must be 1 to {MAX_PATTERNS} patterns.")
    for i, pattern in enumerate(guardrail.patterns):
        require(*_result_of(lambda pattern=pattern: check_pattern(pattern), f"patterns[{i}]"))


def _check_words(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    require(0 < len(guardrail.words) <= MAX_WORDS, "words", f"There must be 1 to {MAX_WORDS} words.")
    for i, word in enumerate(guardrail.words):
        is_short = len(word) <= MAX_WORD_CHARACTERS
        require(is_short, f"words[{i}]", f"A word must not have more than {MAX_WORD_CHARACTERS} characters.")
        require(words.is_searchable(word), f"words[{i}]", "A word must begin and end with a letter or a digit.")


def _check_max_input(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    limits = {name: getattr(guardrail, name) for name in ("max_tokens", "max_characters")}
    has_limit = any(limit is not None for limit in limits.values())
    require(has_limit, "max_tokens", "Set max_tokens, max_characters, or both.")
    for name, limit in limits.items():
        require(limit is None or limit > 0, name, f"{name} must be positive.")


def _check_schema(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    if guardrail.schema is not None:
        parse_schema, text = load("tidegate.policy.guardrails.schema", "parse_schema"), guardrail.schema
        require(*_result_of(lambda: parse_schema(text), "schema"))


def is_webhook_url(url: str, *, needs_https: bool = True) -> bool:
    """True for a URL of a web server that all URL parsers read alike, without credentials or fragment."""
    has_scheme = url.startswith("https://") or not needs_https
    return has_scheme and len(url) <= MAX_URL_CHARACTERS and bool(_URL.fullmatch(url))


def _check_scripts(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    require(0 < len(guardrail.scripts) <= MAX_SCRIPTS, "scripts", f"There must be 1 to {MAX_SCRIPTS} scripts.")
    check_scripts = load("tidegate.policy.guardrails.scripts", "check_scripts")
    require(*_result_of(lambda: check_scripts(guardrail.scripts), "scripts"))


def _check_bedrock(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    id, version, region = guardrail.guardrail_id or "", guardrail.guardrail_version, guardrail.region
    require(bool(_ID.fullmatch(id)), "guardrail_id", "guardrail_id must be the id or the ARN of a Bedrock guardrail.")
    require(bool(_VERSION.fullmatch(version)), "guardrail_version", "guardrail_version must be a number or 'DRAFT'.")
    require(region is None or bool(_REGION.fullmatch(region)), "region", "region must be like 'eu-central-1'.")


def _check_webhook(guardrail: Guardrail, require: "_Require", is_operator: bool) -> None:
    url, secret = guardrail.url or "", guardrail.secret
    require(
        is_webhook_url(url, needs_https=not is_operator),
        "url",
        "url must be an https URL without credentials or fragment.",
    )
    require(secret is None or is_operator, "secret", "Only the operator's webhooks can have a secret.")
    require(secret is None or bool(_SETTING.fullmatch(secret)), "secret", "secret must be the name of a setting.")


def _result_of(check: Callable[[], object], field: str) -> tuple[bool, str, str]:
    try:
        check()
    except ValueError as error:
        return False, field, str(error)
    return True, field, ""


_Require = Callable[[bool, str, str], None]

_CHECK_OF_KIND: dict[GuardrailKind, Callable[[Guardrail, _Require, bool], None]] = {
    "regex": _check_regex,
    "words": _check_words,
    "max_input": _check_max_input,
    "json_schema": _check_schema,
    "scripts": _check_scripts,
    "bedrock": _check_bedrock,
    "webhook": _check_webhook,
}
