"""One choice of a streamed reply, as far as it has come: one role, clean deltas, and the finish kept for the end."""

from tidegate.chat.completion import FinishReason
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import normalise
from tidegate.providers.openai.think_tags import ThinkTagParser
from tidegate.providers.openai.toolcalls import ToolCallStream


class OpenAIChoiceStream:
    __slots__ = ("_calls", "_extras", "_heard", "_tags", "annotated", "native", "reason")

    def __init__(self, think_tags: bool) -> None:
        self.reason: FinishReason | None = None
        self.native: str | None = None
        self.annotated = False
        self._heard = False
        self._extras: JsonObject = {}
        self._calls = ToolCallStream()
        self._tags = ThinkTagParser() if think_tags else None

    def add(self, raw: JsonObject) -> JsonObject | None:
        """The delta to pass on, None where it says nothing. The first one always says the role."""
        content = raw.get("content")
        if self._heard and len(raw) == 1 and content and isinstance(content, str) and self._tags is None:
            return raw  # nearly all of a stream
        delta = self._clean(raw)
        if self._heard:
            return delta or None
        self._heard = True
        return {"role": "assistant", **delta} if delta else {"role": "assistant", "content": ""}

    def _clean(self, raw: JsonObject) -> JsonObject:
        delta: JsonObject = {
            name: value for name, value in raw.items() if name != "role" and value not in normalise.EMPTY_VALUES
        }
        if "reasoning" in delta or "reasoning_content" in delta or "reasoning_details" in delta:
            normalise.normalise_reasoning(delta)
        content = delta.get("content")
        if isinstance(content, list):
            normalise.normalise_reasoning(delta)
        elif isinstance(content, str):
            if self._tags is not None:
                self._unfold_tags(delta, content)
        elif content is not None:
            raise ProviderMalformed("The provider's content is neither text nor a list.")
        if not delta.get("content", True):
            del delta["content"]
        if "tool_calls" in delta:
            calls = self._calls.deltas(delta.pop("tool_calls"))
            if calls:
                delta["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if "annotations" in delta:
            self.annotated = True
        return delta

    def _unfold_tags(self, delta: JsonObject, content: str) -> None:
        if self._tags is None:
            return
        if "reasoning" in delta:
            self._tags = None  # the provider took the thoughts out itself
            return
        thought, answer = self._tags.feed(content)
        delta["content"] = answer
        if thought:
            delta["reasoning"] = thought
            normalise.normalise_reasoning(delta)
        if self._tags.done:
            self._tags = None

    def set_finish(self, reason: Json, native: Json, extras: JsonObject) -> None:
        """Keep the finish. Raises `ProviderFailed` where it says that the reply is broken."""
        self.reason, own = normalise.finish_reason(reason, bool(self._calls))
        self.native = native if isinstance(native, str) and native else own
        self._extras.update(extras)

    def pending(self, sources: list[Json]) -> list[JsonObject]:
        """The deltas that are still owed: what looked like a tag, the arguments of calls without any, sources."""
        owed: JsonObject = {}
        if self._tags is not None:
            thought, answer = self._tags.end()
            if answer:
                owed["content"] = answer
            if thought:
                owed["reasoning"] = thought
                normalise.normalise_reasoning(owed)
        calls = self._calls.pending()
        if calls:
            owed["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
        if sources:
            owed["annotations"] = sources
        return [owed] if owed else []

    def finish_fields(self) -> JsonObject:
        """The finish as fields of a choice; a reason that never came follows from what was said."""
        reason = self.reason or normalise.finish_reason(None, bool(self._calls))[0]
        ending: JsonObject = {**self._extras, "finish_reason": reason}
        if self.native and self.native != reason:
            ending["native_finish_reason"] = self.native
        return ending
