"""One choice of a streamed reply: one role, clean deltas, and the finish reason held back until the end."""

from tidegate.chat.completion import FinishReason
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import normalise
from tidegate.providers.openai.think_tags import ThinkTagParser
from tidegate.providers.openai.toolcalls import ToolCallStream


class OpenAIChoiceStream:
    """Cleans the deltas of one choice, and collects its finish."""

    __slots__ = ("_calls", "_extras", "_has_started", "_tags", "finish_reason", "has_annotations", "native_reason")

    def __init__(self, think_tags: bool) -> None:
        self.finish_reason: FinishReason | None = None
        self.native_reason: str | None = None
        self.has_annotations = False
        self._has_started = False
        self._extras: JsonObject = {}
        self._calls = ToolCallStream()
        self._tags = ThinkTagParser() if think_tags else None

    def add(self, raw_delta: JsonObject) -> JsonObject | None:
        """Return the delta to pass on, None if it is empty. The first delta always has the role."""
        content = raw_delta.get("content")
        if self._has_started and len(raw_delta) == 1 and content and isinstance(content, str) and self._tags is None:
            return raw_delta  # the common case, kept fast
        delta = self._clean(raw_delta)
        if self._has_started:
            return delta or None
        self._has_started = True
        return {"role": "assistant", **delta} if delta else {"role": "assistant", "content": ""}

    def _clean(self, raw_delta: JsonObject) -> JsonObject:
        empty = normalise.EMPTY_VALUES
        delta = {name: value for name, value in raw_delta.items() if name != "role" and value not in empty}
        if "reasoning" in delta or "reasoning_content" in delta or "reasoning_details" in delta:
            normalise.normalise_reasoning(delta)
        content = delta.get("content")
        if isinstance(content, list):
            normalise.normalise_reasoning(delta)
        elif isinstance(content, str):
            if self._tags is not None:
                self._split_think_tags(delta, content)
        elif content is not None:
            raise ProviderMalformed("The provider's content is neither text nor a list.")
        if not delta.get("content", True):
            del delta["content"]
        if "tool_calls" in delta:
            calls = self._calls.deltas(delta.pop("tool_calls"))
            if calls:
                delta["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if "annotations" in delta:
            self.has_annotations = True
        return delta

    def _split_think_tags(self, delta: JsonObject, content: str) -> None:
        if self._tags is None:
            return
        if "reasoning" in delta:
            self._tags = None  # the provider separates the reasoning itself
            return
        thinking, answer = self._tags.feed(content)
        delta["content"] = answer
        if thinking:
            delta["reasoning"] = thinking
            normalise.normalise_reasoning(delta)
        if self._tags.done:
            self._tags = None

    def set_finish(self, reason: Json, native: Json, extras: JsonObject) -> None:
        """Store the finish for the end. Raises `ProviderFailed` if the reason says that the reply is broken."""
        self.finish_reason, own_reason = normalise.finish_reason(reason, bool(self._calls))
        self.native_reason = native if isinstance(native, str) and native else own_reason
        self._extras.update(extras)

    def pending(self, sources: list[Json]) -> list[JsonObject]:
        """Return the last deltas: text held back as a possible tag, arguments of calls without any, sources."""
        delta: JsonObject = {}
        if self._tags is not None:
            thinking, answer = self._tags.end()
            if answer:
                delta["content"] = answer
            if thinking:
                delta["reasoning"] = thinking
                normalise.normalise_reasoning(delta)
        calls = self._calls.pending()
        if calls:
            delta["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if sources:
            delta["annotations"] = sources
        return [delta] if delta else []

    def finish_fields(self) -> JsonObject:
        """Return the finish as fields of a choice; a missing reason is inferred from the tool calls."""
        reason = self.finish_reason or normalise.finish_reason(None, bool(self._calls))[0]
        ending: JsonObject = {**self._extras, "finish_reason": reason}
        if self.native_reason and self.native_reason != reason:
            ending["native_finish_reason"] = self.native_reason
        return ending
