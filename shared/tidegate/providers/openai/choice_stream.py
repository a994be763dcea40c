"""One choice of a streamed reply: one role, clean deltas, and the finish reason held back until the end."""

from tidegate.chat.completion import FinishReason
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import normalise
from tidegate.providers.openai.think_tags import ThinkTagParser
from tidegate.providers.openai.toolcalls import ToolCallStream


class OpenAIChoiceStream:
    """Cleans the deltas of one choice, and collects its finish."""

    __slots__ = (
        *("_calls", "_extras", "_has_content", "_has_function_call", "_has_started", "_native_reason", "_reason"),
        *("_tags", "finish_reason", "has_annotations", "passes_texts"),
    )

    def __init__(self, think_tags: bool) -> None:
        self.finish_reason: FinishReason | None = None
        self.has_annotations = False
        self.passes_texts = False
        """True if the last delta was a text alone, which passed as it was: another one would, too."""
        self._reason: Json = None
        self._native_reason: Json = None
        self._has_started = self._has_content = self._has_function_call = False
        self._extras: JsonObject | None = None
        self._calls: ToolCallStream | None = None
        self._tags = ThinkTagParser() if think_tags else None

    def add(self, raw_delta: JsonObject) -> JsonObject | None:
        """Return the delta to pass on, None if it is empty. The first delta always has the role."""
        if self._has_started and self._tags is None and "content" in raw_delta:  # the common cases
            content, size = raw_delta["content"], len(raw_delta)
            if content and type(content) is str and (size == 1 or (size == 2 and "role" in raw_delta)):
                self._has_content, self.passes_texts = True, size == 1
                return raw_delta if size == 1 else {"content": content}
        delta = self._clean(raw_delta)
        self.passes_texts = False
        self._has_content = self._has_content or bool(delta)
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
        if isinstance(content, str):
            if self._tags is not None:
                self._split_think_tags(delta, content)
        elif content is not None:
            normalise.normalise_reasoning(delta)
        if not delta.get("content", True):
            del delta["content"]
        if "tool_calls" in delta:
            if self._calls is None:
                self._calls = ToolCallStream()
            calls = self._calls.deltas(delta.pop("tool_calls"))
            if calls:
                delta["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if "function_call" in delta:
            self._has_function_call = True
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
        self.finish_reason, _ = normalise.finish_reason(reason, bool(self._calls))
        self._reason, self._native_reason = reason, native
        self._extras = {**(self._extras or {}), **extras}

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
        calls = self._calls.pending() if self._calls is not None else []
        if calls:
            delta["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if sources:
            delta["annotations"] = sources
        return [delta] if delta else []

    def finish_fields(self) -> JsonObject:
        """Return the finish as fields of a choice; a missing reason follows from the tool calls.

        Raises `ProviderMalformed` if the reply is nothing but a tool call without a name.
        """
        if self._calls is not None and self._calls.has_nameless and not self._calls and not self._has_content:
            raise ProviderMalformed("The provider called a tool without a name.")
        reason, own = normalise.finish_reason(self._reason, bool(self._calls), self._has_function_call)
        native = self._native_reason if isinstance(self._native_reason, str) and self._native_reason else own
        ending: JsonObject = {**(self._extras or {}), "finish_reason": reason}
        if native and native != reason:
            ending["native_finish_reason"] = native
        return ending
