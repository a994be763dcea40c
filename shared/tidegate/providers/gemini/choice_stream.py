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

_FILTERED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "JAILBREAK"}
)
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_BROKEN = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"})
_NUMBERED = ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
"""Some clients of Vertex get the numbers of the enumeration (recorded)."""

_EXTRAS = {
    "groundingMetadata": "grounding_metadata",
    "urlContextMetadata": "url_context_metadata",
    "safetyRatings": "safety_ratings",
}
_PLAIN = {"text"}


class Voice:
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

    def hear(self, candidate: JsonObject, response_id: Json) -> JsonObject:
        """The delta that the candidate adds, empty where it adds nothing. Raises `UpstreamError` for a broken reply."""
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        if len(candidate) > 1 or content is None:
            self._keep(candidate)
        if not parts:
            return {}
        if not isinstance(parts, list):
            raise ProviderMalformed("The provider's parts are not a list.")
        if len(parts) == 1 and isinstance(part := parts[0], dict) and part.keys() == _PLAIN:
            return self._say(part["text"])  # nearly all of a stream
        delta: JsonObject = {}
        for part in parts:
            self._add(delta, part, response_id)
        return delta

    def ending(self) -> JsonObject:
        """The finish as fields of a choice. Raises `UpstreamError` where it says that the reply is broken."""
        native = self.native or ""
        reason = self._reason(native)
        if reason == "stop" and native not in ("", "STOP") and not (self._texts or self._images or self._spoke):
            raise ProviderMalformed(f"The model ended its reply without an answer ({native}).", native_code=native)
        return {
            **self._extras,
            "finish_reason": reason,
            **({"native_finish_reason": native} if native else {}),
        }

    def end_blocked(self, reason: str, message: str | None) -> None:
        """The prompt was refused: there will be no answer."""
        self.native, self.refusal, self._blocked = reason, message, True

    def annotations(self) -> list[Json]:
        grounding = self._extras.get("grounding_metadata")
        if grounding is None and self._cited is None:
            return []
        return citations.annotations("".join(self._texts), grounding, self._cited)

    def _reason(self, native: str) -> FinishReason:
        if native in _CUT:
            return "length"
        if self._blocked or native in _FILTERED:
            return "content_filter"
        return "tool_calls" if self._calls else "stop"

    def _keep(self, candidate: JsonObject) -> None:
        native = candidate.get("finishReason")
        if isinstance(native, int):
            native = _NUMBERED[native] if 0 <= native < len(_NUMBERED) else "OTHER"
        message = candidate.get("finishMessage")
        if isinstance(native, str) and native not in ("", "FINISH_REASON_UNSPECIFIED"):
            self.native = native
            _check(native, message)
            if native in _FILTERED and isinstance(message, str) and message:
                self.refusal = message
        for name, ours in _EXTRAS.items():
            if candidate.get(name):
                self._extras[ours] = candidate[name]
        match candidate.get("groundingMetadata"):
            case {"webSearchQueries": list(queries)}:
                self.queries.update(query for query in queries if isinstance(query, str) and query)
            case _:
                pass
        if candidate.get("citationMetadata"):
            self._cited = candidate["citationMetadata"]

    def _say(self, text: Json) -> JsonObject:
        if not isinstance(text, str):
            raise ProviderMalformed("The provider's text is none.")
        if not text:
            return {}
        self._texts.append(text)
        return {"content": text}

    def _add(self, delta: JsonObject, part: Json, response_id: Json) -> None:
        if not isinstance(part, dict):
            raise ProviderMalformed("The provider's part is not an object.")
        signature = part.get("thoughtSignature")
        signed: str | None = None
        match part:
            case {"text": str(text), "thought": True}:
                self._think(delta, text)
            case {"text": str(text)}:
                if said := self._say(text):
                    delta["content"] = str(delta.get("content") or "") + str(said["content"])
            case {"functionCall": dict(call)}:
                signed = self._call(delta, call, (response_id, signature))
            case {"inlineData": {"mimeType": str(kind), "data": str(data)}} if kind.startswith(("image/", "audio/")):
                if not part.get("thought"):
                    signed = self._show(delta, kind, data, response_id)
            case {"thoughtSignature": str()} if len(part) == 1:
                pass
            case _:
                _list(delta, "provider_parts").append(part)
                return
        if isinstance(signature, str) and signature:
            self._sign(delta, signature, signed)

    def _think(self, delta: JsonObject, text: str) -> None:
        if not text:
            return
        whole = str(delta.get("reasoning") or "") + text
        delta["reasoning"] = delta["reasoning_content"] = whole
        details = _list(delta, "reasoning_details")
        thought: JsonObject = {"type": "reasoning.text", "text": whole, "format": FORMAT, "index": 0}
        if details and isinstance(details[0], dict) and details[0]["type"] == "reasoning.text":
            details[0] = thought
        else:
            details.insert(0, thought)

    def _sign(self, delta: JsonObject, signature: str, of: str | None) -> None:
        self._details += 1
        detail: JsonObject = {
            "type": "reasoning.encrypted",
            "data": signature,
            "format": FORMAT,
            "index": self._details,
        }
        if of is not None:
            detail["id"] = of
        _list(delta, "reasoning_details").append(detail)

    def _call(self, delta: JsonObject, call: JsonObject, seed: tuple[Json, ...]) -> str:
        name, given = call.get("name"), call.get("id")
        if not isinstance(name, str) or not name:
            raise ProviderMalformed("The provider called a function without a name.")
        args = encode(call.get("args") or {}).decode()
        ordinal = self._calls
        self._calls += 1
        call_id = given if isinstance(given, str) and given else _minted(*seed, ordinal, name, args)
        made: ToolCall = {
            "index": ordinal,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": args},
        }
        _list(delta, "tool_calls").append(made)  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
        return call_id

    def _show(self, delta: JsonObject, kind: str, data: str, response_id: Json) -> str | None:
        if kind.startswith("audio/"):
            self._spoke = True
            voice_id = _minted(response_id, "audio").replace("call_", "audio_")
            delta["audio"] = {"id": voice_id, "data": data, "expires_at": 0, "transcript": "", "mime_type": kind}
            return voice_id
        place = self._images
        self._images += 1
        image: JsonObject = {"url": f"data:{kind};base64,{data}"}
        _list(delta, "images").append({"type": "image_url", "image_url": image, "index": place})
        return IMAGE_ID.format(place)


def _check(native: str, message: Json) -> None:
    why = f": {message}" if isinstance(message, str) and message else "."
    if native in _BROKEN:
        raise ProviderMalformed(
            f"The model called a function in a way that is none ({native}){why}", native_code=native
        )
    if native == "MISSING_THOUGHT_SIGNATURE":
        raise ProviderBadRequest(f"A function call of an earlier turn has lost its signature{why}", native_code=native)


def _minted(*seed: Json) -> str:
    """An id for a call that came without one: the same for the same reply, another one for every other."""
    return f"call_{sha256(encode(seed)).hexdigest()[:24]}"


def _list(delta: JsonObject, name: str) -> list[Json]:
    found = delta.setdefault(name, [])
    return found if isinstance(found, list) else []
