"""One choice of a stream that is checked in windows: its texts lag behind, its tools' arguments wait for their end.

What was thought is passed on to its end before anything is said, and all of that before a tool is called, so that
nothing comes out of its order. Signed reasoning is passed on after the text that it repeats, and left out where that
was masked.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias, cast

from tidegate.chat.completion import ChunkChoice, Delta, ToolCall
from tidegate.json import Json
from tidegate.policy.guardrails.window import Blocked, Scan, Window

Rewrite: TypeAlias = Callable[[str], Awaitable[str]]
"""Arguments of a tool as they may be passed on."""

_TEXTS = ("reasoning", "content", "refusal")
_HELD = frozenset({*_TEXTS, "reasoning_content", "reasoning_details", "tool_calls", "function_call"})


class GuardedChoiceStream:
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
        """What may be passed on of it, in as many choices as that takes. Raises `Blocked`."""
        ended = choice["finish_reason"] is not None
        deltas = await self._add_delta(choice["delta"])
        if ended:
            deltas += [*await self.finish(), Delta()]
        unfinished = {**choice, "finish_reason": None}
        passed = [cast(ChunkChoice, {**unfinished, "delta": delta}) for delta in deltas]
        if ended:
            passed[-1]["finish_reason"] = choice["finish_reason"]
        return passed

    async def finish(self) -> list[Delta]:
        """What was held back. Raises `Blocked`."""
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
        shells = [shell for call in delta.get("tool_calls") or () if (shell := self._hold_arguments(call)) is not None]
        function = delta.get("function_call")
        if function is not None:
            self._arguments.setdefault(None, []).append(function.get("arguments") or "")
        other_fields = cast(Delta, {name: value for name, value in delta.items() if name not in _HELD})
        if "role" in delta and not delta.get("content"):
            other_fields["content"] = delta.get("content")
        if shells:
            deltas += [*await self._flush(*_TEXTS), Delta(tool_calls=shells)]
        if function is not None and "name" in function:
            deltas += [*await self._flush(*_TEXTS), Delta(function_call={"name": function["name"], "arguments": ""})]
        if other_fields:
            deltas[:1] = [cast(Delta, {**other_fields, **(deltas[0] if deltas else {})})]
        return deltas

    async def _flush(self, *names: str) -> list[Delta]:
        """The rest of what was said under these names. Raises `Blocked`."""
        deltas: list[Delta] = []
        for name in names:
            text = await self._windows[name].finish()
            if text:
                deltas.append(self._text_delta(name, text))
            if name == "reasoning" and self._details:
                deltas += await self._flush_details()
        return deltas

    async def _flush_details(self) -> list[Delta]:
        """The details of what was thought, unless they hold what is masked. Raises `Blocked`."""
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
        """The call without what it is called with; None where that is all that it says."""
        index = call.get("index", 0)
        shell = cast(ToolCall, {name: value for name, value in call.items() if name not in ("function", "custom")})
        function, custom = call.get("function"), call.get("custom")
        if function is not None:
            self._arguments.setdefault(index, []).append(function.get("arguments") or "")
            if "name" in function:
                shell["function"] = {**function, "arguments": ""}
        if custom is not None:
            self._inputs.setdefault(index, []).append(str(custom.get("input") or ""))
            if "name" in custom:
                shell["custom"] = {**custom, "input": ""}
        return shell if len(shell) > 1 else None


def _text_pieces(delta: Delta) -> Iterator[tuple[str, str]]:
    """What the delta thinks and says, in order; details of reasoning alone are a piece without a text."""
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
