"""Guardrails as people write them, and the rules for that: a JSON list of objects becomes `Guardrail`s, and back.

The operator's are in TIDEGATE_GUARDRAILS, a workspace's own in the admin API. `docs/GUARDRAILS.md` has the fields.
"""

import re
from collections.abc import Callable
from importlib import import_module
from typing import cast

import msgspec
from msgspec.structs import fields

from tidegate.domain.guardrails import BUILT_IN, FINDERS, REMOTE, Guardrail, Kind, On
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.policy.guardrails import words

MAX_GUARDRAILS = 50
MAX_BYTES = 64 * 1024
"""Of all that a workspace has: they are read with every call."""

MAX_PATTERNS = 50
MAX_WORDS, MAX_WORD = 2000, 100
MAX_SCRIPTS = 20
MAX_URL = 2048

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[^\s#@]*)?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?(/[^\s#@]*)?")
_ID = re.compile(r"[a-z0-9]{1,64}|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+")
_VERSION = re.compile(r"[1-9][0-9]{0,7}|DRAFT")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")

_COMMON = frozenset({"name", "kind", "on", "action", "always", "fails"})
_WINDOWED = frozenset({"stream", "window_characters"})
_OF_KIND: dict[Kind, frozenset[str]] = {
    "regex": _WINDOWED | {"patterns"},
    "words": _WINDOWED | {"words"},
    "secrets": _WINDOWED | {"entities"},
    "personal": _WINDOWED | {"entities"},
    "injection": frozenset(),
    "max_input": frozenset({"max_tokens", "max_characters"}),
    "json_schema": frozenset({"schema"}),
    "scripts": frozenset({"scripts"}),
    "bedrock": frozenset({"guardrail_id", "guardrail_version", "region", "timeout_seconds"}),
    "webhook": frozenset({"url", "secret", "timeout_seconds"}),
}
_ONLY_ON: dict[Kind, On] = {"injection": "input", "max_input": "input", "json_schema": "output"}


def guardrails_of(listed: Json, at: str = "guardrails", *, is_operator: bool = False) -> tuple[Guardrail, ...]:
    """The guardrails that the list stands for. Raises `InvalidRequest` that names the field, as `guardrails[0].url`."""
    if not isinstance(listed, list):
        raise InvalidRequest(f"{at} must be a list of objects.", param=at)
    if len(listed) > MAX_GUARDRAILS or len(encode(listed)) > MAX_BYTES:
        raise InvalidRequest(f"{at} holds more than {MAX_GUARDRAILS} guardrails, or {MAX_BYTES} bytes.", param=at)
    made: dict[str, Guardrail] = {}
    for i, entry in enumerate(listed):
        guardrail = guardrail_of(entry, f"{at}[{i}]", is_operator=is_operator)
        if guardrail.name in made:
            raise InvalidRequest(f"The guardrail {guardrail.name!r} is there twice.", param=f"{at}[{i}].name")
        made[guardrail.name] = guardrail
    return tuple(made.values())


def guardrail_of(entry: Json, at: str, *, is_operator: bool = False) -> Guardrail:
    """One of them. Raises `InvalidRequest` for its first fault."""
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{at} must be an object.", param=at)
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in _OF_KIND:
        raise InvalidRequest(f"A guardrail's kind is one of {', '.join(_OF_KIND)}.", param=f"{at}.kind")
    unknown = sorted(entry.keys() - _COMMON - _OF_KIND[kind])
    if unknown:
        known = ", ".join(sorted(_COMMON | _OF_KIND[kind]))
        raise InvalidRequest(
            f"A guardrail of kind {kind!r} has no field {unknown[0]!r}, only {known}.", param=f"{at}.{unknown[0]}"
        )
    given: JsonObject = {"on": _ONLY_ON.get(kind, "both"), **entry}
    if isinstance(given.get("schema"), dict | bool):
        given["schema"] = encode(given["schema"]).decode()
    try:
        guardrail = msgspec.convert(given, Guardrail)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        path = f"{at}.{found['path']}" if found and found["path"] else at
        raise InvalidRequest(f"Invalid value for '{path}': {_AT.sub('', str(error))}.", param=path) from None
    _check(guardrail, at, is_operator)
    return guardrail


def shown(guardrail: Guardrail) -> JsonObject:
    """The guardrail as it is written: what is as it would be anyway is left out, and a schema is an object."""
    made: JsonObject = {}
    for field in fields(Guardrail):
        value = cast(Json, getattr(guardrail, field.name))
        if field.name in ("name", "kind", "on") or value != field.default:
            made[field.name] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    if guardrail.schema is not None:
        made["schema"] = decode(guardrail.schema)
    return made


def _check(guardrail: Guardrail, at: str, is_operator: bool) -> None:
    def must(holds: bool, field: str, said: str) -> None:
        if not holds:
            raise InvalidRequest(said, param=f"{at}.{field}")

    kind = guardrail.kind
    must(bool(_NAME.fullmatch(guardrail.name)), "name", "A name is lower-case letters, digits, '.', '_' and '-'.")
    must(guardrail.name not in BUILT_IN, "name", f"The name {guardrail.name!r} is that of a built-in guardrail.")
    only = _ONLY_ON.get(kind)
    must(only in (None, guardrail.on), "on", f"A guardrail of kind {kind!r} can only be on {only!r}.")
    can_mask = kind in FINDERS or kind in REMOTE
    must(guardrail.action == "block" or can_mask, "action", f"A guardrail of kind {kind!r} cannot mask.")
    must(64 <= guardrail.window_characters <= 8192, "window_characters", "A window has 64 to 8192 characters.")
    must(0.1 <= guardrail.timeout_seconds <= 30, "timeout_seconds", "A timeout is between 0.1 and 30 seconds.")
    _OF_FIELDS.get(kind, _nothing)(guardrail, must, is_operator)


def _nothing(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    pass


def _regex(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    patterns = import_module("tidegate.policy.guardrails.regexes")
    must(0 < len(guardrail.patterns) <= MAX_PATTERNS, "patterns", f"There must be 1 to {MAX_PATTERNS} patterns.")
    for i, pattern in enumerate(guardrail.patterns):
        must(*_tried(lambda pattern=pattern: patterns.check(pattern), f"patterns[{i}]"))


def _words(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    must(0 < len(guardrail.words) <= MAX_WORDS, "words", f"There must be 1 to {MAX_WORDS} words.")
    for i, word in enumerate(guardrail.words):
        must(len(word) <= MAX_WORD, f"words[{i}]", f"A word has at most {MAX_WORD} characters.")
        must(words.is_searchable(word), f"words[{i}]", "A word begins and ends with a letter or a digit.")


def _length(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    limits = {name: getattr(guardrail, name) for name in ("max_tokens", "max_characters")}
    must(any(limit is not None for limit in limits.values()), "max_tokens", "Say max_tokens, max_characters, or both.")
    for name, limit in limits.items():
        must(limit is None or limit > 0, name, f"{name} must be positive.")


def _schema(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    if guardrail.schema is not None:
        schema, text = import_module("tidegate.policy.guardrails.schema"), guardrail.schema
        must(*_tried(lambda: schema.parsed(text), "schema"))


def _scripts(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    must(0 < len(guardrail.scripts) <= MAX_SCRIPTS, "scripts", f"There must be 1 to {MAX_SCRIPTS} scripts.")
    scripts = import_module("tidegate.policy.guardrails.scripts")
    must(*_tried(lambda: scripts.check(guardrail.scripts), "scripts"))


def _bedrock(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    id, version, region = guardrail.guardrail_id or "", guardrail.guardrail_version, guardrail.region
    must(bool(_ID.fullmatch(id)), "guardrail_id", "guardrail_id is a guardrail's id or ARN.")
    must(bool(_VERSION.fullmatch(version)), "guardrail_version", "guardrail_version is a number or 'DRAFT'.")
    must(region is None or bool(_REGION.fullmatch(region)), "region", "region is one of AWS's, as 'eu-central-1'.")


def _webhook(guardrail: Guardrail, must: "_Must", is_operator: bool) -> None:
    url, secret = guardrail.url or "", guardrail.secret
    is_url = len(url) <= MAX_URL and bool(_URL.fullmatch(url)) and (is_operator or url.startswith("https://"))
    must(is_url, "url", "url must be an https URL, without credentials and fragment.")
    must(secret is None or is_operator, "secret", "Only the operator's own webhooks can have a secret.")
    must(secret is None or bool(_SETTING.fullmatch(secret)), "secret", "secret is the name of a setting.")


def _tried(check: Callable[[], object], field: str) -> tuple[bool, str, str]:
    try:
        check()
    except ValueError as error:
        return False, field, str(error)
    return True, field, ""


_Must = Callable[[bool, str, str], None]

_OF_FIELDS: dict[Kind, Callable[[Guardrail, _Must, bool], None]] = {
    "regex": _regex,
    "words": _words,
    "max_input": _length,
    "json_schema": _schema,
    "scripts": _scripts,
    "bedrock": _bedrock,
    "webhook": _webhook,
}
