"""Providers of the operator's own: the JSON list in `TIDEGATE_PROVIDERS` as rows.

An entry is `{name, base_url, key, quirks}`. `key` names the setting that holds the key; left out, it is
`<NAME>_API_KEY`; null, the provider needs none. `quirks` is the name of a known provider whose quirks it shares, or an
object of the fields of `Quirks`, with `like` for the provider to start from.
"""

import re

import msgspec
from msgspec.structs import replace

from tidegate.errors import ConfigurationError
from tidegate.json import Json, JsonObject
from tidegate.providers.compatible import ROWS
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.quirks import Quirks

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_KNOWN = frozenset({"name", "base_url", "key", "quirks"})
_QUIRKS = frozenset(Quirks.__struct_fields__)


def parse_rows(listed: Json) -> tuple[Row, ...]:
    """The rows that the list stands for. Raises `ConfigurationError`, which names every fault of every entry."""
    if not isinstance(listed, list):
        raise ConfigurationError("TIDEGATE_PROVIDERS must be a JSON list of objects.")
    found: list[Row] = []
    faults: list[str] = []
    for i, entry in enumerate(listed):
        try:
            found.append(parse_row(entry))
        except ConfigurationError as error:
            faults.append(f"TIDEGATE_PROVIDERS[{i}]: {error.message}")
    names = [one.name for one in found]
    faults += [f"TIDEGATE_PROVIDERS: {name!r} is there twice." for name in sorted(set(names)) if names.count(name) > 1]
    if faults:
        raise ConfigurationError(" ".join(faults))
    return tuple(found)


def parse_row(entry: Json) -> Row:
    """The row that one entry stands for. Raises `ConfigurationError` for its first fault."""
    if not isinstance(entry, dict):
        raise ConfigurationError("an entry must be an object.")
    unknown = sorted(entry.keys() - _KNOWN)
    if unknown:
        raise ConfigurationError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}.")
    name, base_url, key = entry.get("name"), entry.get("base_url"), entry.get("key", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"name {name!r} must be lower-case letters, digits, '.', '_' and '-'.")
    if not isinstance(base_url, str) or not _URL.fullmatch(base_url):
        raise ConfigurationError(
            f"base_url {base_url!r} must be an http(s) URL without a query, such as https://host/v1."
        )
    if key is not None and (not isinstance(key, str) or not (key == "" or _SETTING.fullmatch(key))):
        raise ConfigurationError("key must be the name of the setting that holds the key, never the key itself.")
    return Row(name, base_url.rstrip("/"), _quirks(entry.get("quirks")), key)


def _quirks(given: Json) -> Quirks:
    match given:
        case None:
            return Quirks()
        case str(like):
            return _like(like)
        case {"like": str(like), **rest}:
            return _changed(_like(like), rest)
        case dict():
            return _changed(Quirks(), given)
        case _:
            raise ConfigurationError("quirks must be the name of a known provider or an object.")


def _like(name: str) -> Quirks:
    if name not in ROWS:
        raise ConfigurationError(f"quirks like {name!r}: there is no such row; there are {', '.join(sorted(ROWS))}.")
    return ROWS[name].quirks


def _changed(quirks: Quirks, given: JsonObject) -> Quirks:
    unknown = sorted(given.keys() - _QUIRKS)
    if unknown:
        raise ConfigurationError(f"unknown quirk {unknown[0]!r}; known are like, {', '.join(sorted(_QUIRKS))}.")
    try:
        wanted = msgspec.convert(given, Quirks)
        for rule in wanted.models:
            re.compile(rule.pattern)
    except (msgspec.ValidationError, re.error) as error:
        raise ConfigurationError(f"quirks: {error}.") from None
    return replace(quirks, **{name: getattr(wanted, name) for name in given})
