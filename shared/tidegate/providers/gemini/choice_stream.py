"""One candidate of a reply as a choice: from one whole candidate, or from the events of a stream.

Sources: https://ai.google.dev/api/generate-content#candidate, https://ai.google.dev/gemini-api/docs/thought-signatures
(2026-11); `reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens; recorded replies.
"""

from hashlib import sha256

from tidegate.chat.completion import FinishReason, FunctionCall, ToolCall
from tidegate.errors import ProviderBadRequest, ProviderMalformed
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.gemini import citations
from tidegate.providers.gemini.reasoning_replay import FORMAT, IMAGE_ID, is_empty_part
from tidegate.providers.openai.toolcalls import arguments_text
from tidegate.providers.toolnames import minted_call_id

_FILTER_REASONS = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "JAILBREAK"}
)
_LENGTH_REASONS = frozenset({"MAX_TOKENS", "CONTINUATION"})
_BROKEN_REASONS = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE")
_REASONS_BY_NUMBER = (
    *("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
)
"""Finish reasons by their number in Google's enumeration: Vertex sometimes returns numbers (recorded)."""

_NATIVE_FIELD_NAMES = {
    "groundingMetadata": "grounding_metadata",
    "urlContextMetadata": "url_context_metadata",
    "safetyRatings": "safety_ratings",
}
_TEXT_ONLY = {"text"}
_CONTENT_FIELDS = frozenset({"content", "index"})


class GeminiChoiceStream:
    """The state of one candidate. `native_finish_reason` is Google's, None until it came."""

    def __init__(self) -> None:
        self.role_sent = False
        self.native_finish_reason: str | None = None
        self.refusal: str | None = None
        self.queries: set[str] = set()
        self._texts: list[str] = []
        self._call_count = 0
        self._detail_count = 0
        self._image_count = 0
        self._native_fields: JsonObject = {}
        self._citation_metadata: Json = None
        self._blocked = False
        self._has_audio = False

    def add(self, candidate: JsonObject, response_id: Json) -> JsonObject:
        """Return the delta for an event's candidate, empty if it adds nothing. Raises `UpstreamError`."""
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        if not _CONTENT_FIELDS.issuperset(candidate):
            self._read_candidate_fields(candidate)
        if not parts:
            return {}
        if not isinstance(parts, list):
            parts = [parts]
        if len(parts) == 1 and isinstance(part := parts[0], dict) and part.keys() == _TEXT_ONLY:
            return self._text_delta(part["text"])
        delta: JsonObject = {}
        for part in parts:
            self._add_part(delta, part, response_id)
        return delta

    def add_text(self, text: str) -> JsonObject:
        """Return the delta for a piece of the text, which is not empty."""
        self._texts.append(text)
        return {"content": text}

    def finish_fields(self) -> JsonObject:
        """Return the finish reason as fields of a choice. Raises `UpstreamError` if the reply has no content."""
        native = self.native_finish_reason or ""
        reason = self._openai_reason(native)
        has_content = bool(self._texts or self._image_count or self._has_audio)
        if reason == "stop" and native not in ("", "STOP") and not has_content:
            raise ProviderMalformed(f"The model ended its reply without an answer ({native}).", native_code=native)
        native_field = {"native_finish_reason": native} if native else {}
        return {**self._native_fields, "finish_reason": reason, **native_field}

    def mark_blocked(self, reason: str, message: str | None) -> None:
        """Finish the choice without an answer, because Google blocked the prompt."""
        self.native_finish_reason, self.refusal, self._blocked = reason, message, True

    def annotations(self) -> list[Json]:
        grounding = self._native_fields.get("grounding_metadata")
        if grounding is None and self._citation_metadata is None:
            return []
        return citations.annotations("".join(self._texts), grounding, self._citation_metadata)

    def _openai_reason(self, finish_reason: str) -> FinishReason:
        if finish_reason in _LENGTH_REASONS:
            return "length"
        if self._blocked or finish_reason in _FILTER_REASONS:
            return "content_filter"
        return "tool_calls" if self._call_count else "stop"

    def _read_candidate_fields(self, candidate: JsonObject) -> None:
        finish_reason = candidate.get("finishReason")
        if isinstance(finish_reason, int):
            is_known = 0 <= finish_reason < len(_REASONS_BY_NUMBER)
            finish_reason = _REASONS_BY_NUMBER[finish_reason] if is_known else "OTHER"
        message = candidate.get("finishMessage")
        if isinstance(finish_reason, str) and finish_reason not in ("", "FINISH_REASON_UNSPECIFIED"):
            self.native_finish_reason = finish_reason
            _raise_if_broken(finish_reason, message)
            if finish_reason in _FILTER_REASONS and isinstance(message, str) and message:
                self.refusal = message
        for name, field_name in _NATIVE_FIELD_NAMES.items():
            if candidate.get(name):
                self._native_fields[field_name] = candidate[name]
        match candidate.get("groundingMetadata"):
            case {"webSearchQueries": list(queries)}:
                self.queries.update(query for query in queries if isinstance(query, str) and query)
            case _:
                pass
        if candidate.get("citationMetadata"):
            self._citation_metadata = candidate["citationMetadata"]

    def _text_delta(self, text: Json) -> JsonObject:
        return self.add_text(text) if isinstance(text, str) and text else {}

    def _add_part(self, delta: JsonObject, part: Json, response_id: Json) -> None:
        if isinstance(part, str):
            part = {"text": part}
        if not isinstance(part, dict):
            return
        signature = part.get("thoughtSignature")
        signed_id: str | None = None
        match part:
            case {"text": str(text), "thought": True}:
                self._add_reasoning(delta, text)
            case {"text": str(text)}:
                if text_delta := self._text_delta(text):
                    delta["content"] = str(delta.get("content") or "") + str(text_delta["content"])
            case {"functionCall": {"name": str(name)} as call} if name:
                signed_id = self._add_call(delta, call, (response_id, signature))
            case {"inlineData": {"mimeType": str(mime), "data": str(data)}} if mime.startswith(("image/", "audio/")):
                if not part.get("thought"):
                    signed_id = self._add_media(delta, mime, data, response_id)
            case _ if is_empty_part(part):
                pass
            case _:
                _list_field(delta, "provider_parts").append(part)
                return
        if isinstance(signature, str) and signature:
            self._add_signature(delta, signature, signed_id)

    def _add_reasoning(self, delta: JsonObject, text: str) -> None:
        if not text:
            return
        reasoning = str(delta.get("reasoning") or "") + text
        delta["reasoning"] = delta["reasoning_content"] = reasoning
        details = _list_field(delta, "reasoning_details")
        text_detail: JsonObject = {"type": "reasoning.text", "text": reasoning, "format": FORMAT, "index": 0}
        if details and isinstance(details[0], dict) and details[0]["type"] == "reasoning.text":
            details[0] = text_detail
        else:
            details.insert(0, text_detail)

    def _add_signature(self, delta: JsonObject, signature: str, signed_id: str | None) -> None:
        self._detail_count += 1
        index = self._detail_count
        detail: JsonObject = {"type": "reasoning.encrypted", "data": signature, "format": FORMAT, "index": index}
        if signed_id is not None:
            detail["id"] = signed_id
        _list_field(delta, "reasoning_details").append(detail)

    def _add_call(self, delta: JsonObject, call: JsonObject, id_seed: tuple[Json, ...]) -> str:
        name, native_id = str(call["name"]), call.get("id")
        args = arguments_text(call.get("args") or {})
        call_index = self._call_count
        self._call_count += 1
        has_id = isinstance(native_id, str) and native_id
        call_id = str(native_id) if has_id else minted_call_id(*id_seed, call_index, name, args)
        function: FunctionCall = {"name": name, "arguments": args}
        tool_call: ToolCall = {"index": call_index, "id": call_id, "type": "function", "function": function}
        _list_field(delta, "tool_calls").append(tool_call)  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
        return call_id

    def _add_media(self, delta: JsonObject, media_type: str, data: str, response_id: Json) -> str | None:
        if media_type.startswith("audio/"):
            self._has_audio = True
            audio_id = f"audio_{sha256(encode((response_id, 'audio'))).hexdigest()[:24]}"
            delta["audio"] = {"id": audio_id, "data": data, "expires_at": 0, "transcript": "", "mime_type": media_type}
            return audio_id
        image_index = self._image_count
        self._image_count += 1
        image: JsonObject = {"url": f"data:{media_type};base64,{data}"}
        _list_field(delta, "images").append({"type": "image_url", "image_url": image, "index": image_index})
        return IMAGE_ID.format(image_index)


def _raise_if_broken(finish_reason: str, message: Json) -> None:
    explanation = f": {message}" if isinstance(message, str) and message else "."
    if finish_reason in _BROKEN_REASONS:
        text = f"The model returned an invalid function call ({finish_reason}){explanation}"
        raise ProviderMalformed(text, native_code=finish_reason)
    if finish_reason == "MISSING_THOUGHT_SIGNATURE":
        text = f"A function call in an earlier turn has no thought signature{explanation}"
        raise ProviderBadRequest(text, native_code=finish_reason)


def _list_field(delta: JsonObject, name: str) -> list[Json]:
    value = delta.setdefault(name, [])
    return value if isinstance(value, list) else []
