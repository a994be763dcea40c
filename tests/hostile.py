"""Bodies of requests that are written to be expensive, by family, as long as asked, but within the limits.

A body that a limit refuses costs little, so the most expensive one is the largest that passes. `MODEL` stands for the
model's name. The benchmark prints what each family costs, and a test counts the work.
"""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx

from tests.native_providers import NATIVES
from tests.world import Client, Handler, completion, world
from tidegate.chat.fields import MAX_FIELDS, MAX_MEDIA, MAX_MESSAGES, MAX_TOOLS
from tidegate.domain.limits import Limits
from tidegate.json import MAX_CONTAINERS, MAX_NESTING

Family = Callable[[int], bytes]

_SPARE = 200
"""Objects and arrays that are kept for what stands around the repeated part."""


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _asking(**fields: Any) -> bytes:
    return _compact({"model": "MODEL", "messages": [{"role": "user", "content": "Hi."}], **fields})


def _repeated(before: str, unit: str, after: str, *, containers: int = 0, most: int = 1 << 30) -> Family:
    """`unit` as often as fits, `most` times at most; "%d" or "%x" in it is its number. Each has `containers`."""
    most = min(most, (MAX_CONTAINERS - _SPARE) // containers) if containers else most

    def write(size: int) -> bytes:
        count = max(1, min(most, size // (len(unit.encode()) + 3)))
        units = (unit % i for i in range(count)) if "%" in unit else [unit] * count
        return (before + ",".join(units) + after).encode()

    return write


def _text(unit: str) -> Family:
    return lambda size: _compact(
        {"model": "MODEL", "messages": [{"role": "user", "content": unit * (size // len(unit.encode()))}]}
    )


def _messages(unit: str, *, containers: int) -> Family:
    before = '{"model":"MODEL","messages":[{"role":"user","content":"a"},'
    most = (MAX_MESSAGES - 1) // unit.count('"role"')
    return _repeated(before, unit, "]}", containers=containers, most=most)


def _parts(unit: str, *, containers: int) -> Family:
    most = 1 << 30 if '"text"' in unit else MAX_MEDIA
    before = '{"model":"MODEL","messages":[{"role":"user","content":['
    return _repeated(before, unit, "]}]}", containers=containers, most=most)


def _field(before: str, unit: str, after: str, *, containers: int = 0, most: int = 1 << 30) -> Family:
    start = '{"model":"MODEL","messages":[{"role":"user","content":"a"}],'
    return _repeated(start + before, unit, after + "}", containers=containers, most=most)


_SCHEMA = '"response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":'


def _schema(before: str, unit: str, after: str, *, containers: int = 0) -> Family:
    return _field(_SCHEMA + before, unit, after + "}}", containers=containers)


def _nested_property(levels: int) -> str:
    schema = '{"type":"string"}'
    for _ in range(levels):
        schema = '{"type":"object","properties":{"a":' + schema + "}}"
    return f'"p%d":{schema}'


def _properties(count: int, name: str = "p") -> str:
    return ",".join(f'"{name}{i}":{{"type":"string"}}' for i in range(count))


FAMILIES: dict[str, Family] = {
    # Texts
    "prose": _text("The quick brown fox jumps. "),
    "one word": _text("a"),
    "punctuation": _text(".,;:!?"),
    "short words": _text("a1 "),
    "line breaks": _text("\n"),
    "quotes": _text('"'),
    "emoji": _text("👩‍👩‍👧‍👦"),
    "CJK": _text("漢字"),
    "combining marks": _text("e\u0301"),
    "brackets in texts": _text("{[("),
    "escapes": lambda size: (
        b'{"model":"MODEL","messages":[{"role":"user","content":"' + b"\\u00e9" * (size // 6) + b'"}]}'
    ),
    # Messages
    "empty messages": _messages('{"role":"user","content":""}', containers=1),
    "turns": _messages('{"role":"user","content":"a"},{"role":"assistant","content":"b"}', containers=2),
    "system messages": _messages('{"role":"system","content":"a"}', containers=1),
    "tool calls": _repeated(
        '{"model":"MODEL","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[',
        '{"id":"%d","type":"function","function":{"name":"f","arguments":"{}"}}',
        "]}]}",
        containers=2,
    ),
    "tool calls with results": _messages(
        '{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},'
        '{"role":"tool","tool_call_id":"a","content":"{}"}',
        containers=5,
    ),
    "functions' calls": _messages(
        '{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},'
        '{"role":"function","name":"f","content":""}',
        containers=3,
    ),
    "arguments": _messages(
        '{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"a\\":['
        + "[]," * 300
        + ']}"}}]},{"role":"tool","tool_call_id":"1","content":""}',
        containers=5,
    ),
    "places of thinking": _repeated(
        '{"model":"MODEL","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"'
        + "a" * 10_000
        + '","reasoning_details":[',
        '{"type":"reasoning.text","text":"a","signature":"s","format":"anthropic-claude-v1","id":"after_%d_characters_0_calls"}',
        ']},{"role":"user","content":"a"}]}',
        containers=1,
    ),
    "reasoning details": _repeated(
        '{"model":"MODEL","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_details":[',
        '{"type":"reasoning.text","text":"a","signature":"s"}',
        ']},{"role":"user","content":"a"}]}',
        containers=1,
    ),
    # Parts
    "text parts": _parts('{"type":"text","text":"a"}', containers=1),
    "messages of parts": _messages('{"role":"user","content":[{"type":"text","text":"a"}]}', containers=3),
    "small images": _parts('{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}', containers=2),
    "a large image": lambda size: _parts(
        '{"type":"image_url","image_url":{"url":"data:image/png;base64,' + "A" * (size // 4 * 4) + '"}}', containers=2
    )(size),
    "URLs": _parts('{"type":"image_url","image_url":{"url":"https://a.example/%d"}}', containers=2),
    "recordings": _parts('{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}', containers=2),
    "files": _parts(
        '{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA","filename":"a.pdf"}}', containers=2
    ),
    # Tools and schemas
    "tools": _field('"tools":[', '{"type":"function","function":{"name":"f%d"}}', "]", containers=2, most=MAX_TOOLS),
    "tools of one name": _field(
        '"tools":[', '{"type":"function","function":{"name":"f.g"}}', "]", containers=2, most=MAX_TOOLS
    ),
    "forbidden names": _field(
        '"tools":[',
        '{"type":"function","function":{"name":"f.' + "x" * 200 + '%d"}}',
        "]",
        containers=2,
        most=MAX_TOOLS,
    ),
    "custom tools": _field('"tools":[', '{"type":"custom","custom":{"name":"f%d"}}', "]", containers=2, most=MAX_TOOLS),
    "unknown tools": _field('"tools":[', '{"type":"t%d"}', "]", containers=1, most=MAX_TOOLS),
    "functions": _field('"functions":[', '{"name":"f%d"}', "]", containers=1, most=MAX_TOOLS),
    "strict tools": _field(
        '"tools":[',
        '{"type":"function","function":{"name":"f%d","strict":true,"parameters":{"type":"object","properties":{'
        + _properties(20).replace("%", "%%")
        + "}}}}",
        "]",
        containers=24,
        most=MAX_TOOLS,
    ),
    "a strict tool": _field(
        '"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{',
        '"p%d":{"type":"string"}',
        "}}}}]",
        containers=1,
    ),
    "properties": _schema('{"type":"object","properties":{', '"p%d":{"type":"string"}', "}}", containers=1),
    "lists of types": _schema(
        '{"type":"object","properties":{', '"p%d":{"type":["string","null"],"minLength":2}', "}}", containers=2
    ),
    "nested properties": _schema('{"type":"object","properties":{', _nested_property(40), "}}", containers=81),
    "values of an enum": _schema('{"type":"object","properties":{"a":{"enum":[', '"%d"', "]}}}"),
    "alternatives": _schema('{"type":"object","properties":{"a":{"anyOf":[', '{"type":"string"}', "]}}}", containers=1),
    "references": _schema(
        '{"type":"object","$defs":{"d":{"type":"object","properties":{' + _properties(100) + '}}},"properties":{',
        '"p%d":{"$ref":"#/$defs/d"}',
        "}}",
        containers=1,
    ),
    "properties below a long name": lambda size: _schema(
        '{"type":"object","properties":{"' + "n" * (size // 2) + '":{"type":"object","properties":{',
        '"p%d":{"type":"string"}',
        "}}}}",
        containers=1,
    )(size // 2),
    "a long description": lambda size: _field(
        '"tools":[{"type":"function","function":{"name":"f","description":"', "a b ", '"}}]'
    )(size),
    # Other fields
    "numbers": _field('"x":[', "0", "]"),
    "fractions": _field('"x":[', "1.5", "]"),
    "long numbers": _field('"x":[', "1" * 300 + ".5e-300", "]"),
    "a huge number": lambda size: _field('"x":', "1" * size, "")(1),
    "empty objects": _field('"x":[', "{}", "]", containers=1),
    "empty arrays": _field('"metadata":{"x":[', "[]", "]}", containers=1),
    "nested arrays": _field(
        '"x":[', "[" * (MAX_NESTING - 2) + "]" * (MAX_NESTING - 2), "]", containers=MAX_NESTING - 2
    ),
    "keys": _field('"x":{', '"%x":0', "}"),
    "metadata": _field('"metadata":{', '"%x":""', "}", most=MAX_FIELDS),
    "unknown fields": _field("", '"x%x":0', "", most=MAX_FIELDS - 10),
    "duplicate keys": _field("", '"x":0', ""),
    "duplicate messages": _repeated(
        '{"model":"MODEL",', '"messages":[{"role":"user","content":"a"}]', "}", containers=2
    ),
    "stop sequences": _field('"stop":[', '"%x"', "]"),
    "logit bias": _field('"logit_bias":{', '"%d":1', "}"),
    "modalities": _field('"modalities":[', '"text"', "]"),
    "safety settings": _field('"safety_settings":[', '{"category":"a","threshold":"b"}', "]", containers=1),
    "search options": _field('"web_search_options":{', '"%x":0', "}", most=MAX_FIELDS),
    # What is refused
    "invalid last message": _repeated(
        '{"model":"MODEL","messages":[', '{"role":"user","content":""}', ',{"role":1}]}', most=MAX_MESSAGES - 1
    ),
    "invalid UTF-8": lambda size: _asking()[:-4] + b"a" * size + b'\xff"}]}',
    "half a surrogate": lambda size: (
        b'{"model":"MODEL","messages":[{"role":"user","content":"' + b"\\ud83d\\ude00" * (size // 12) + b'\\ud83d"}]}'
    ),
    "invalid JSON": lambda size: _asking(x="\\" * (size // 2))[:-1],
    "invalid bias": _field('"logit_bias":{', '"%d":1', ',"z":"a"}'),
    "a long name of a model": lambda size: _asking().replace(b"MODEL", b"MODEL" + b"x" * size),
    "too deep": lambda size: _field('"x":', "[" * (size // 2) + "]" * (size // 2), "")(1),
    "too many arrays": lambda size: _field('"x":[', "[[[]]]", "]")(size),
    "fallbacks of one model": _field('"fallbacks":[{"MODEL":[', '"openai/m%d"', "]}]"),
}
"""The families of bodies, by name."""


MODELS: dict[str, str] = {
    "openai": "openai/gpt-4.1-mini",
    "responses": "openai/o1-pro",
    "mistral": "mistral/mistral-large-latest",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "older gemini": "gemini/gemini-1.5-flash",
    "bedrock": "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "nova": "bedrock/amazon.nova-lite-v1:0",
    "cohere": "cohere/command-a-03-2025",
}
"""A model of each translator."""

KEYS: dict[str, str] = {name: value for native in NATIVES for name, value in native.env.items()}
"""Settings with which a `world` has all these providers."""


def open_world(provider: Handler, limits: Limits) -> AbstractAsyncContextManager[Client]:
    """A world with all these providers, which `provider` plays."""
    return world(provider, limits=limits, **KEYS)


def answer(request: httpx.Request) -> httpx.Response:
    """The reply of whatever provider the request is for."""
    url = str(request.url)
    names = {"anthropic": "/v1/messages", "gemini": "generateContent", "bedrock": "/converse", "cohere": "/v2/chat"}
    if url.endswith("/responses"):
        return httpx.Response(200, json={"status": "completed", "output": [], "usage": {"input_tokens": 14}})
    native = next((native for native in NATIVES if names.get(native.name, "no path") in url), None)
    return httpx.Response(200, json=native.plain if native else completion())


def body_of(family: str, size: int, model: str) -> bytes:
    """A body of the family, of about `size` bytes, for that model."""
    return FAMILIES[family](size).replace(b"MODEL", model.encode(), 1)


def with_fallbacks(body: bytes, models: list[str], **fields: Any) -> bytes:
    """The body with these fallbacks, each of which overrides `fields`."""
    entries = [{"model": model, **fields} if fields else model for model in models]
    return b'{"fallbacks":' + _compact(entries) + b"," + body[1:]


def with_dry_run(body: bytes) -> bytes:
    return b'{"dry_run":true,' + body[1:]
