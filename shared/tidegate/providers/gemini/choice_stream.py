"""One candidate of a reply, as its parts come: in one piece, or in the events of a stream.

Sources: https://ai.google.dev/api/generate-content#candidate, https://ai.google.dev/gemini-api/docs/thought-signatures
(2026-11); `reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens; recorded replies.
"""

from hashlib import sha256

from tidegate.chat.completion import FinishReason, ToolCall
from tidegate.errors import ProviderBadRequest, ProviderMalformed
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.gemini import citations
from tidegate.providers.gemini.reasoning_replay import FORMAT, IMAGE_ID

_FILTER_REASONS = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "JAILBREAK"}
)
_LENGTH_REASONS = frozenset({"MAX_TOKENS", "CONTINUATION"})
_BROKEN_REASONS = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}
)
_REASONS_BY_NUMBER = (
    "",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
)
"""Some clients of Vertex get the numbers of the enumeration (recorded)."""

_NATIVE_FIELD_NAMES = {
    "groundingMetadata": "grounding_metadata",
    "urlContextMetadata": "url_context_metadata",
    "safetyRatings": "safety_ratings",
}
_TEXT_ONLY = {"text"}


class GeminiChoiceStream:
    """What one candidate has said so far."""

    __slots__ = (
        "_blocked",
        "_calls",
        "_cited",
        "_details",
        "_extras",
        "_images",
        "_spoke",
        "_texts",
        "heard",
        "native",
        "queries",
        "refusal",
    )

    def __init__(self) -> None:
        self.heard = False
        self.native: str | None = None
        self.refusal: str | None = None
        self.queries: set[str] = set()
        self._texts: list[str] = []
        self._calls = 0
        self._details = 0
        self._images = 0
        self._extras: JsonObject = {}
        self._cited: Json = None
        self._blocked = False
        self._spoke = False

    def add(self, candidate: JsonObject, response_id: Json) -> JsonObject:
        """The delta that the candidate adds, empty where it adds nothing. Raises `UpstreamError` for a broken reply."""
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        if len(candidate) > 1 or content is None:
            self._read_candidate_fields(candidate)
        if not parts:
            return {}
        if not isinstance(parts, list):
            raise ProviderMalformed("The provider's parts are not a list.")
        if len(parts) == 1 and isinstance(part := parts[0], dict) and part.keys() == _TEXT_ONLY:
            return self._text_delta(part["text"])  # nearly all of a stream
        delta: JsonObject = {}
        for part in parts:
            self._add_part(delta, part, response_id)
        return delta

    def finish_fields(self) -> JsonObject:
        """The finish as fields of a choice. Raises `UpstreamError` where it says that the reply is broken."""
        finish_reason = self.native or ""
        openai_reason = self._openai_reason(finish_reason)
        if (
            openai_reason == "stop"
            and finish_reason not in ("", "STOP")
            and not (self._texts or self._images or self._spoke)
        ):
            raise ProviderMalformed(
                f"The model ended its reply without an answer ({finish_reason}).", native_code=finish_reason
            )
        return {
            **self._extras,
            "finish_reason": openai_reason,
            **({"native_finish_reason": finish_reason} if finish_reason else {}),
        }

    def mark_blocked(self, reason: str, message: str | None) -> None:
        """The prompt was refused: there will be no answer."""
        self.native, self.refusal, self._blocked = reason, message, True

    def annotations(self) -> list[Json]:
        grounding = self._extras.get("grounding_metadata")
        if grounding is None and self._cited is None:
            return []
        return citations.annotations("".join(self._texts), grounding, self._cited)

    def _openai_reason(self, finish_reason: str) -> FinishReason:
        if finish_reason in _LENGTH_REASONS:
            return "length"
        if self._blocked or finish_reason in _FILTER_REASONS:
            return "content_filter"
        return "tool_calls" if self._calls else "stop"

    def _read_candidate_fields(self, candidate: JsonObject) -> None:
        finish_reason = candidate.get("finishReason")
        if isinstance(finish_reason, int):
            finish_reason = (
                _REASONS_BY_NUMBER[finish_reason] if 0 <= finish_reason < len(_REASONS_BY_NUMBER) else "OTHER"
            )
        message = candidate.get("finishMessage")
        if isinstance(finish_reason, str) and finish_reason not in ("", "FINISH_REASON_UNSPECIFIED"):
            self.native = finish_reason
            _raise_if_broken(finish_reason, message)
            if finish_reason in _FILTER_REASONS and isinstance(message, str) and message:
                self.refusal = message
        for name, field_name in _NATIVE_FIELD_NAMES.items():
            if candidate.get(name):
                self._extras[field_name] = candidate[name]
        match candidate.get("groundingMetadata"):
            case {"webSearchQueries": list(queries)}:
                self.queries.update(query for query in queries if isinstance(query, str) and query)
            case _:
                pass
        if candidate.get("citationMetadata"):
            self._cited = candidate["citationMetadata"]

    def _text_delta(self, text: Json) -> JsonObject:
        if not isinstance(text, str):
            raise ProviderMalformed("The provider's text is none.")
        if not text:
            return {}
        self._texts.append(text)
        return {"content": text}

    def _add_part(self, delta: JsonObject, part: Json, response_id: Json) -> None:
        if not isinstance(part, dict):
            raise ProviderMalformed("The provider's part is not an object.")
        signature = part.get("thoughtSignature")
        signed_id: str | None = None
        match part:
            case {"text": str(text), "thought": True}:
                self._add_reasoning(delta, text)
            case {"text": str(text)}:
                if text_delta := self._text_delta(text):
                    delta["content"] = str(delta.get("content") or "") + str(text_delta["content"])
            case {"functionCall": dict(call)}:
                signed_id = self._add_call(delta, call, (response_id, signature))
            case {"inlineData": {"mimeType": str(media_type), "data": str(data)}} if media_type.startswith(
                ("image/", "audio/")
            ):
                if not part.get("thought"):
                    signed_id = self._add_media(delta, media_type, data, response_id)
            case {"thoughtSignature": str()} if len(part) == 1:
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
        self._details += 1
        detail: JsonObject = {
            "type": "reasoning.encrypted",
            "data": signature,
            "format": FORMAT,
            "index": self._details,
        }
        if signed_id is not None:
            detail["id"] = signed_id
        _list_field(delta, "reasoning_details").append(detail)

    def _add_call(self, delta: JsonObject, call: JsonObject, id_seed: tuple[Json, ...]) -> str:
        name, native_id = call.get("name"), call.get("id")
        if not isinstance(name, str) or not name:
            raise ProviderMalformed("The provider called a function without a name.")
        args = encode(call.get("args") or {}).decode()
        call_index = self._calls
        self._calls += 1
        call_id = (
            native_id if isinstance(native_id, str) and native_id else _generated_id(*id_seed, call_index, name, args)
        )
        tool_call: ToolCall = {
            "index": call_index,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": args},
        }
        _list_field(delta, "tool_calls").append(tool_call)  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
        return call_id

    def _add_media(self, delta: JsonObject, media_type: str, data: str, response_id: Json) -> str | None:
        if media_type.startswith("audio/"):
            self._spoke = True
            audio_id = _generated_id(response_id, "audio").replace("call_", "audio_")
            delta["audio"] = {"id": audio_id, "data": data, "expires_at": 0, "transcript": "", "mime_type": media_type}
            return audio_id
        image_index = self._images
        self._images += 1
        image: JsonObject = {"url": f"data:{media_type};base64,{data}"}
        _list_field(delta, "images").append({"type": "image_url", "image_url": image, "index": image_index})
        return IMAGE_ID.format(image_index)


def _raise_if_broken(finish_reason: str, message: Json) -> None:
    explanation = f": {message}" if isinstance(message, str) and message else "."
    if finish_reason in _BROKEN_REASONS:
        raise ProviderMalformed(
            f"The model called a function in a way that is none ({finish_reason}){explanation}",
            native_code=finish_reason,
        )
    if finish_reason == "MISSING_THOUGHT_SIGNATURE":
        raise ProviderBadRequest(
            f"A function call of an earlier turn has lost its signature{explanation}", native_code=finish_reason
        )


def _generated_id(*seed: Json) -> str:
    """An id for a call that came without one: the same for the same reply, another one for every other."""
    return f"call_{sha256(encode(seed)).hexdigest()[:24]}"


def _list_field(delta: JsonObject, name: str) -> list[Json]:
    value = delta.setdefault(name, [])
    return value if isinstance(value, list) else []
