"""Names of tools as a provider takes them: those that it forbids are spelt otherwise, readably and each one its own.

Also what else of the calls so far providers are particular about: their ids, and arguments as objects.

`restore.py` gives replies the caller's names back, by `ToolNames.callers`.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256

import msgspec

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode


class NameRules:
    """What a provider takes for a name: `signs` and `first` (its first sign) as in a regular expression's brackets."""

    def __init__(self, characters: str, max_length: int = 128, first: str = "") -> None:
        self.max_length = max_length
        self._allowed = re.compile(f"(?=[{first or characters}])[{characters}]{{1,{max_length}}}")
        self._forbidden = re.compile(f"[^{characters}]+")
        self._first = re.compile(f"[{first or characters}]")

    def allows(self, name: str) -> bool:
        return self._allowed.fullmatch(name) is not None

    def sanitise(self, name: str) -> str:
        """The name, or the nearest one that is taken."""
        near = self._forbidden.sub("_", name)
        return (near if self._first.match(near) else f"_{near}")[: self.max_length]


def valid_call_id(given: Json, alphabet: NameRules) -> str:
    """The id of a call as a provider takes it, the same for the same one: other providers' may hold other signs."""
    text = given if isinstance(given, str) else ""
    return text if alphabet.allows(text) else f"call_{sha256(text.encode()).hexdigest()[:24]}"


def parse_arguments(given: Json, path: str) -> JsonObject:
    """The arguments of a call as an object; none at all are an empty one. Raises `InvalidRequest`."""
    value = given
    if isinstance(given, str):
        try:
            value = decode(given) if given.strip() else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = given
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments of a tool call must be the text of a JSON object.", param=path)
    return value


class ToolNames:
    """The tools' names of one request, the same for the same body.

    `callers` are the caller's names by ours, where the two differ. `reserved` are names that the provider keeps.
    """

    def __init__(self, alphabet: NameRules, body: JsonObject, reserved: Iterable[str] = ()) -> None:
        self.caller_names: dict[str, str] = {}
        self._alphabet = alphabet
        self._spelt: dict[str, str] = {}
        self._taken = set(reserved)
        named = list(dict.fromkeys(_named(body)))
        kept = [name for name in named if alphabet.allows(name) and name not in self._taken]
        self._spelt.update(zip(kept, kept, strict=True))
        self._taken.update(kept)
        for name in named:
            self.provider_name(name)

    def provider_name(self, name: str) -> str:
        """The name to send for one of the caller's."""
        if name not in self._spelt:
            spelt = self._spelt[name] = self.reserve_name(name)
            if spelt != name:
                self.caller_names[spelt] = name
        return self._spelt[name]

    def reserve_name(self, wanted: str) -> str:
        """A name near `wanted` that no tool has. From now on it is taken."""
        near = free = self._alphabet.sanitise(wanted)
        count = 1
        while free in self._taken:
            count += 1
            free = f"{near[: self._alphabet.max_length - len(f'_{count}')]}_{count}"
        self._taken.add(free)
        return free


def _named(body: JsonObject) -> Iterator[str]:
    """Every name of a tool in the request: tools first, so that theirs stay as turns follow."""
    for holder in (*_listed(body.get("tools")), *_listed(body.get("functions"))):
        yield from _name(holder)
    yield from _name(body.get("tool_choice"))
    yield from _name(body.get("function_call"))
    for message in _listed(body.get("messages")):
        match message:
            case {"role": "assistant", **said}:
                for call in (*_listed(said.get("tool_calls")), said.get("function_call")):
                    yield from _name(call)
            case {"role": "tool" | "function", "name": str(name)}:
                yield name
            case _:
                pass


def _name(holder: Json) -> Iterator[str]:
    match holder:
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}}:
            yield name
        case {"type": _}:
            pass  # a tool of the provider's own
        case {"name": str(name)}:
            yield name
        case _:
            pass


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
