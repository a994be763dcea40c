"""Tool names that a provider accepts: a forbidden name is replaced by a readable and unique one.

Also the other details of earlier tool calls that providers are strict about: ids, and arguments as objects.

`caller_terms.py` restores the caller's names in replies, from `ToolNames.caller_names`.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import count

import msgspec

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, JsonTooComplex, decode_bounded, encode

_NUMBER_LENGTH = len("_99999")
"""The room in a name for the number that makes it unique."""


class NameRules:
    """A provider's rules for names; `characters` and `first` (the first one) as in a regular expression's brackets."""

    def __init__(self, characters: str, max_length: int = 128, first: str = "") -> None:
        self.max_length = max_length
        self._allowed = re.compile(f"(?=[{first or characters}])[{characters}]{{1,{max_length}}}")
        self._forbidden = re.compile(f"[^{characters}]+")
        self._first = re.compile(f"[{first or characters}]")

    def allows(self, name: str) -> bool:
        return self._allowed.fullmatch(name) is not None

    def sanitise(self, name: str) -> str:
        """Return the name, or the nearest one that the provider allows."""
        candidate = self._forbidden.sub("_", name)
        return (candidate if self._first.match(candidate) else f"_{candidate}")[: self.max_length]


MINTED_PREFIX = "minted_"
"""The beginning of ids that `reply_calls.py` replaces."""


def minted_call_id(*seed: Json) -> str:
    """Return an id for a call that came without one. It depends only on `seed`, and is unique in its reply at most."""
    return f"{MINTED_PREFIX}{sha256(encode(seed)).hexdigest()[:24]}"


def valid_call_id(raw: Json, rules: NameRules) -> str:
    """Return the id if the rules allow it, else a hash of it: another provider's id may hold other characters."""
    text = raw if isinstance(raw, str) else ""
    return text if rules.allows(text) else hashed_call_id(text)


def hashed_call_id(*seed: str) -> str:
    """Return an id that depends only on `seed`."""
    return f"call_{sha256(chr(0).join(seed).encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


class CallIds:
    """The ids of one conversation's tool calls, for a provider that wants each only once.

    Some providers number their calls anew in each turn. A repeated id is replaced, also in the result of its call.
    """

    __slots__ = ("_answered", "_counts", "_has_results", "_rules", "_waiting")

    def __init__(self, rules: NameRules) -> None:
        self._rules = rules
        self._counts: dict[str, int] = {}
        self._waiting: dict[str, list[str]] = {}
        self._answered: dict[str, str] = {}
        self._has_results = False

    def for_call(self, raw: Json) -> str:
        """Return the id to send for a call."""
        if self._has_results:
            self._waiting.clear()  # a new turn
            self._has_results = False
        text = raw if isinstance(raw, str) else ""
        count = self._counts[text] = self._counts.get(text, 0) + 1
        call_id = valid_call_id(text, self._rules) if count == 1 else hashed_call_id(text, str(count))
        self._waiting.setdefault(text, []).append(call_id)
        return call_id

    def for_result(self, raw: Json) -> str:
        """Return the id to send for a call's result: that of the first call without one, or else of the last call."""
        self._has_results = True
        text = raw if isinstance(raw, str) else ""
        waiting = self._waiting.get(text)
        if waiting:
            self._answered[text] = waiting.pop(0)
        return self._answered.get(text) or valid_call_id(text, self._rules)


def parse_arguments(raw: Json, path: str) -> JsonObject:
    """Parse the arguments of a tool call; missing ones are an empty object. Raises `InvalidRequest`."""
    value = raw
    if isinstance(raw, str):
        try:
            value = decode_bounded(raw) if raw.strip() else None
        except JsonTooComplex as error:
            raise InvalidRequest(f"The text of the arguments {error}.", param=path) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments of a tool call must be the text of a JSON object.", param=path)
    return value


class ToolNames:
    """The tool names of one request: equal bodies get equal names.

    `caller_names` maps each changed name to the caller's. `reserved` are names that the provider itself uses.

        names = ToolNames(NameRules("a-z_"), body)
        names.provider_name("get.weather")  # "get_weather"
    """

    def __init__(self, rules: NameRules, body: JsonObject | None, reserved: Iterable[str] = ()) -> None:
        """`body` is None for a request without any tool."""
        self.caller_names: dict[str, str] = {}
        self._rules = rules
        self._provider_names: dict[str, str] = {}
        self._used = set(reserved)
        self._numbers: dict[str, count[int]] = {}
        if body is None:
            return
        tool_names = list(dict.fromkeys(_tool_names(body)))
        allowed = [name for name in tool_names if rules.allows(name) and name not in self._used]
        self._provider_names.update(zip(allowed, allowed, strict=True))
        self._used.update(allowed)
        for name in tool_names:
            self.provider_name(name)

    def provider_name(self, name: str) -> str:
        """Return the name to send for one of the caller's."""
        if name not in self._provider_names:
            new_name = self._provider_names[name] = self.reserve_name(name)
            if new_name != name:
                self.caller_names[new_name] = name
        return self._provider_names[name]

    def reserve_name(self, wanted: str) -> str:
        """Return an unused name near `wanted`, and mark it as used."""
        candidate = name = self._rules.sanitise(wanted)
        if name in self._used:
            # Numbers go on where they ended for this stem: n names that began at 2 each would take n² steps.
            numbers = self._numbers.setdefault(candidate[: self._rules.max_length - _NUMBER_LENGTH], count(2))
            while name in self._used:
                suffix = f"_{next(numbers)}"
                name = candidate[: self._rules.max_length - len(suffix)] + suffix
        self._used.add(name)
        return name


def offered_names(caller_tools: Json) -> frozenset[str]:
    """Return the names of the caller's tools or functions."""
    names: list[str] = []
    for value in _list(caller_tools):
        _add_name(names, value)
    return frozenset(names)


def _tool_names(body: JsonObject) -> list[str]:
    """List every tool name in the request: `tools` first, so that later turns do not change their new names."""
    names: list[str] = []
    for value in (*_list(body.get("tools")), *_list(body.get("functions"))):
        _add_name(names, value)
    _add_name(names, body.get("tool_choice"))
    _add_name(names, body.get("function_call"))
    for message in _list(body.get("messages")):
        match message:
            case {"role": "assistant"}:
                if "tool_calls" in message:
                    for call in _list(message["tool_calls"]):
                        _add_name(names, call)
                if "function_call" in message:
                    _add_name(names, message["function_call"])
            case {"role": "tool" | "function", "name": str(name)}:
                names.append(name)
            case _:
                pass
    return names


def _add_name(names: list[str], value: Json) -> None:
    match value:
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}}:
            names.append(name)
        case {"type": _}:
            pass  # the provider's own tool
        case {"name": str(name)}:
            names.append(name)
        case _:
            pass


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
