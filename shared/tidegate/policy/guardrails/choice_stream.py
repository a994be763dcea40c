"""One choice of a stream, checked in windows: texts are passed on with a lag, tool arguments only when complete.

Reasoning is passed on to its end before any content, and all text before a tool call, so that the order is kept.
Signed reasoning details follow the reasoning text that they repeat, and are left out if that text was masked.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias, cast

from tidegate.chat.completion import ChunkChoice, Delta, ToolCall
from tidegate.json import Json
from tidegate.policy.guardrails.window import Blocked, Scan, Window

Rewrite: TypeAlias = Callable[[str], Awaitable[str]]
"""Returns the arguments of a tool call, masked where needed; raises on a violation."""

_TEXTS = ("reasoning", "content", "refusal")
_HELD = frozenset({*_TEXTS, "reasoning_content", "reasoning_details", "tool_calls", "function_call"})


class GuardedChoiceStream:
    """Feed it each `ChunkChoice` with `add`, and call `finish` if the stream ends without a finish reason."""

    def __init__(self, scan: Scan, lag: int, rewrite: Rewrite) -> None:
        self._scan = scan
        self._rewrite = rewrite
        self._windows = {name: Window(scan, lag) for name in _TEXTS}
        self._has_alias = False
        self._details: list[Json] = []
        self._masks = 0
        self._arguments: dict[int | None, list[str]] = {}
        self._inputs: dict[int, list[str]] = {}

    async def add(self, choice: ChunkChoice) -> list[ChunkChoice]:
        """Return the choices that may be passed on now. Raises `Blocked`."""
        is_last = choice["finish_reason"] is not None
        deltas = await self._add_delta(choice["delta"])
        if is_last:
            deltas += [*await self.finish(), Delta()]
        unfinished = {**choice, "finish_reason": None}
        choices = [cast(ChunkChoice, {**unfinished, "delta": delta}) for delta in deltas]
        if is_last:
            choices[-1]["finish_reason"] = choice["finish_reason"]
        return choices

    async def finish(self) -> list[Delta]:
        """Return all deltas that were held back. Raises `Blocked`."""
        deltas = await self._flush(*_TEXTS)
        for index, pieces in self._arguments.items():
            arguments = await self._rewrite("".join(pieces))
            if index is None:
                deltas.append({"function_call": {"arguments": arguments}})
            elif arguments:
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
        for index, pieces in self._inputs.items():
            text: Json = await self._rewrite("".join(pieces))
            deltas.append({"tool_calls": [{"index": index, "custom": {"input": text}}]})
        self._arguments, self._inputs = {}, {}
        return deltas

    async def _add_delta(self, delta: Delta) -> list[Delta]:
        deltas: list[Delta] = []
        for name, piece in _text_pieces(delta):
            if name != "reasoning":
                deltas += await self._flush("reasoning")
            else:
                self._has_alias = self._has_alias or "reasoning_content" in delta
                self._details += delta.get("reasoning_details") or ()
            text = await self._windows[name].add(piece)
            if text:
                deltas.append(self._text_delta(name, text))
        stripped = map(self._hold_arguments, delta.get("tool_calls") or ())
        calls = [call for call in stripped if call is not None]
        function = delta.get("function_call")
        if function is not None:
            self._arguments.setdefault(None, []).append(function.get("arguments") or "")
        other_fields = cast(Delta, {name: value for name, value in delta.items() if name not in _HELD})
        if "role" in delta and not delta.get("content"):
            other_fields["content"] = delta.get("content")
        if calls:
            deltas += [*await self._flush(*_TEXTS), Delta(tool_calls=calls)]
        if function is not None and "name" in function:
            deltas += [*await self._flush(*_TEXTS), Delta(function_call={"name": function["name"], "arguments": ""})]
        if other_fields:
            deltas[:1] = [cast(Delta, {**other_fields, **(deltas[0] if deltas else {})})]
        return deltas

    async def _flush(self, *names: str) -> list[Delta]:
        """Return the held text of these fields. Raises `Blocked`."""
        deltas: list[Delta] = []
        for name in names:
            text = await self._windows[name].finish()
            if text:
                deltas.append(self._text_delta(name, text))
            if name == "reasoning" and self._details:
                deltas += await self._flush_details()
        return deltas

    async def _flush_details(self) -> list[Delta]:
        """Return the reasoning details, unless their text had to be masked. Raises `Blocked`."""
        details, self._details = self._details, []
        masks, self._masks = self._masks, self._windows["reasoning"].masks
        if masks != self._masks or await self._is_masked("".join(_detail_texts(details))):
            return []
        return [{"reasoning_details": details}]

    async def _is_masked(self, text: str) -> bool:
        found = await self._scan(text)
        for guardrail, _ in found:
            if guardrail.action == "block":
                raise Blocked(guardrail)
        return bool(found)

    def _text_delta(self, name: str, text: str) -> Delta:
        match name:
            case "reasoning":
                return {"reasoning": text, "reasoning_content": text} if self._has_alias else {"reasoning": text}
            case "refusal":
                return {"refusal": text}
            case _:
                return {"content": text}

    def _hold_arguments(self, call: ToolCall) -> ToolCall | None:
        """Return the call with its arguments held back; None if it has nothing else."""
        index = call.get("index", 0)
        short = cast(ToolCall, {name: value for name, value in call.items() if name not in ("function", "custom")})
        function, custom = call.get("function"), call.get("custom")
        if function is not None:
            self._arguments.setdefault(index, []).append(function.get("arguments") or "")
            if "name" in function:
                short["function"] = {**function, "arguments": ""}
        if custom is not None:
            self._inputs.setdefault(index, []).append(str(custom.get("input") or ""))
            if "name" in custom:
                short["custom"] = {**custom, "input": ""}
        return short if len(short) > 1 else None


def _text_pieces(delta: Delta) -> Iterator[tuple[str, str]]:
    """Yield the delta's field names and texts in order; reasoning details alone yield an empty text."""
    reasoning = delta.get("reasoning") or delta.get("reasoning_content") or ""
    if reasoning or delta.get("reasoning_details"):
        yield "reasoning", reasoning
    content, refusal = delta.get("content"), delta.get("refusal")
    if content:
        yield "content", content
    if refusal:
        yield "refusal", refusal


def _detail_texts(details: list[Json]) -> Iterator[str]:
    for detail in details:
        if isinstance(detail, dict):
            yield from (text for name in ("text", "summary") if isinstance(text := detail.get(name), str))
