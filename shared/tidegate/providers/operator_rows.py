"""The operator's own providers: parses the JSON list in `TIDEGATE_PROVIDERS` into rows.

An entry is `{name, base_url, key, quirks, models}`. `key` names the setting that holds the key: by default
`<NAME>_API_KEY`; null if the provider needs no key. `quirks` is the name of a built-in provider that has the same
quirks, or an object with fields of `Quirks`, in which `like` names the built-in provider to start from.
`catalog.declared_models` reads `models`. An entry with the name of a built-in provider and without `base_url` only
declares models for it.
"""

import re

import msgspec
from msgspec.structs import replace

from tidegate.catalog.declared_models import parse_models
from tidegate.catalog.names import PROVIDER_ALIASES
from tidegate.errors import ConfigurationError
from tidegate.json import Json, JsonObject
from tidegate.providers.compatible import ROWS
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.quirks import Quirks
from tidegate.providers.registry import BUILT_IN

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_FIELDS = frozenset({"name", "base_url", "key", "quirks", "models"})
_QUIRKS = frozenset(Quirks.__struct_fields__)


def parse_rows(entries: Json) -> tuple[Row, ...]:
    """Parse the list. Raises one `ConfigurationError` that names the first fault of every entry."""
    if not isinstance(entries, list):
        raise ConfigurationError("TIDEGATE_PROVIDERS must be a JSON list of objects.")
    parsed: list[Row] = []
    faults: list[str] = []
    for i, entry in enumerate(entries):
        try:
            parsed.append(parse_row(entry))
        except ConfigurationError as error:
            faults.append(f"TIDEGATE_PROVIDERS[{i}]: {error.message}")
    names = [row.name for row in parsed]
    duplicates = sorted(name for name in set(names) if names.count(name) > 1)
    faults += [f"TIDEGATE_PROVIDERS: the name {name!r} is used twice." for name in duplicates]
    if faults:
        raise ConfigurationError(" ".join(faults))
    return tuple(parsed)


def parse_row(entry: Json) -> Row:
    """Parse one entry. Raises `ConfigurationError` for its first fault."""
    if not isinstance(entry, dict):
        raise ConfigurationError("an entry must be an object.")
    unknown = sorted(entry.keys() - _FIELDS)
    if unknown:
        raise ConfigurationError(f"unknown field {unknown[0]!r}; the fields are {', '.join(sorted(_FIELDS))}.")
    name, base_url, key = entry.get("name"), entry.get("base_url"), entry.get("key", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"name {name!r} must be lower-case letters, digits, '.', '_' and '-'.")
    models = parse_models(entry["models"]) if "models" in entry else ()
    if entry.keys() == {"name", "models"} and PROVIDER_ALIASES.get(name, name) in BUILT_IN:
        return Row(PROVIDER_ALIASES.get(name, name), None, models=models, only_models=True)
    if not isinstance(base_url, str) or not _URL.fullmatch(base_url):
        # The URL is not repeated: it may hold a password.
        text = f"base_url of {name!r} must be an http(s) URL without a query, such as https://host/v1."
        raise ConfigurationError(text)
    if key is not None and (not isinstance(key, str) or not (key == "" or _SETTING.fullmatch(key))):
        raise ConfigurationError("key must be the name of the setting that holds the key, never the key itself.")
    return Row(name, base_url.rstrip("/"), _quirks(entry.get("quirks")), key, models=models)


def _quirks(fields: Json) -> Quirks:
    match fields:
        case None:
            return Quirks()
        case str(like):
            return _quirks_of(like)
        case {"like": str(like), **others}:
            return _override(_quirks_of(like), others)
        case dict():
            return _override(Quirks(), fields)
        case _:
            raise ConfigurationError("quirks must be the name of a built-in provider or an object of quirks.")


def _quirks_of(name: str) -> Quirks:
    if name not in ROWS:
        raise ConfigurationError(f"quirks: {name!r} is not a built-in provider; use {', '.join(sorted(ROWS))}.")
    return ROWS[name].quirks


def _override(quirks: Quirks, fields: JsonObject) -> Quirks:
    unknown = sorted(fields.keys() - _QUIRKS)
    if unknown:
        raise ConfigurationError(f"unknown quirk {unknown[0]!r}; the quirks are like, {', '.join(sorted(_QUIRKS))}.")
    try:
        overrides = msgspec.convert(fields, Quirks)
        for rule in overrides.models:
            re.compile(rule.pattern)
    except (msgspec.ValidationError, re.error) as error:
        raise ConfigurationError(f"quirks: {error}.") from None
    return replace(quirks, **{name: getattr(overrides, name) for name in fields})
