"""OpenAI's legacy text completions for clients: the prompt is a message of the user, in front of every provider.

Source: https://platform.openai.com/docs/api-reference/completions (2026-11). A chat model answers the prompt; it does
not go on with it as the models did that this API was made for.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.completion import ChunkChoice, Completion, CompletionMessage, Delta
from tidegate.chat.parse import decode_body
from tidegate.chat.request import build_chat_request
from tidegate.domain.operation import Operation, Reply, ReplyChunk, Request
from tidegate.domain.origin import Origin
from tidegate.domain.surface import NO_HEADERS
from tidegate.errors import InvalidRequest, OperationNotSupported, TidegateError
from tidegate.json import Json, JsonObject, encode
from tidegate.surfaces.openai import OpenAIStream, OpenAISurface, error_object

DEFAULT_MAX_TOKENS = 16
"""The limit of an answer without `max_tokens`, as at OpenAI."""

MAX_LOGPROBS = 20

_PROMPT_PATH = "messages"


class CompletionsStream(OpenAIStream):
    """Encodes chunks of chat as text completions. `echo` is the prompt, which each choice begins with; "" without."""

    sends_chunks = False

    def __init__(self, echo: str) -> None:
        self._echo = echo
        self._begun: dict[int, int] = {}

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`. Chunks without text, such as those of reasoning, are left out."""
        return super().events([text for chunk in chunks for text in self._texts(chunk)])

    def _texts(self, chunk: ReplyChunk) -> list[ReplyChunk]:
        choices = [self._choice(choice) for choice in cast("list[ChunkChoice]", chunk["choices"])]
        shown = [choice for choice in choices if choice["text"] or choice["finish_reason"]]
        if choices and not shown:
            return []
        return [{**chunk, "object": "text_completion", "choices": shown}]

    def _choice(self, choice: ChunkChoice) -> JsonObject:
        index, content = choice["index"], _said(choice["delta"])
        text = content if index in self._begun else self._echo + content
        offset = self._begun.get(index, len(self._echo))
        self._begun[index] = offset + len(content)
        logprobs = _text_logprobs(choice.get("logprobs"), offset)
        return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": choice["finish_reason"]}


class CompletionsSurface(OpenAISurface, frozen=True):
    """OpenAI's text completions, in front of chat."""

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `cmpl-`, the call's id, and its last three letters again: as many as OpenAI's ids have."""
        return f"cmpl-{call_id}{call_id[-3:]}"

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        if operation.name != "chat":
            raise OperationNotSupported("Text completions are made of chat alone.")
        sent = decode_body(body)
        prompt = _take_prompt(sent)
        echo = prompt if _take_flag(sent, "echo") else ""
        message: JsonObject = {"role": "user", "content": prompt}
        fields: JsonObject = {**_chat_fields(sent), "messages": [message]}
        try:
            request = build_chat_request(fields, len(body))
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=_callers_path(error.param)) from None
        return replace(request, origin=Origin("completions", None, notes=echo))

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        completion, echo = cast("Completion", reply), _echo_of(request)
        choices: list[JsonObject] = []
        for choice in completion["choices"]:
            text = echo + _said(choice["message"])
            logprobs = _text_logprobs(choice.get("logprobs"), len(echo))
            finish = choice["finish_reason"]
            choices.append({"text": text, "index": choice["index"], "logprobs": logprobs, "finish_reason": finish})
        return encode({**reply, "object": "text_completion", "choices": choices})

    def open_stream(self, request: Request) -> CompletionsStream:
        """See `Surface.open_stream`."""
        return CompletionsStream(_echo_of(request))

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        body = error_object(error)
        return encode({"error": {**body["error"], "param": _callers_path(error.param)}})


COMPLETIONS = CompletionsSurface(name="completions")


def _said(message: Delta | CompletionMessage) -> str:
    """Return the text of a message or a delta, or the refusal in its place."""
    return message.get("content") or message.get("refusal") or ""


def _callers_path(param: str | None) -> str | None:
    """Return the path in the caller's terms: the only message is the prompt."""
    return "prompt" if param is not None and param.startswith(_PROMPT_PATH) else param


def _echo_of(request: Request) -> str:
    notes = None if request.origin is None else request.origin.notes
    return notes if isinstance(notes, str) else ""


def _refuse(name: str, reason: str) -> NoReturn:
    raise InvalidRequest(f"{name!r} {reason}", param=name)


def _take_prompt(fields: JsonObject) -> str:
    """Remove the prompt from the fields and return it: a text, or a list of one."""
    match fields.pop("prompt", None):
        case str(text) | [str(text)] if text:
            return text
        case [str(), *_]:
            _refuse("prompt", "must be one text: a chat model answers one prompt in a call. Send a call for each.")
        case [int(), *_] | [[*_], *_]:
            _refuse("prompt", "must be a text: only the model that they were made for can read tokens.")
        case None:
            raise InvalidRequest("Missing required field: 'prompt'.", param="prompt")
        case _:
            _refuse("prompt", "must be a text, which is not empty.")


def _take_flag(fields: JsonObject, name: str) -> bool:
    value = fields.pop(name, None)
    if value not in (None, True, False) or type(value) is int:
        _refuse(name, "must be true or false.")
    return value is True


def _chat_fields(fields: JsonObject) -> JsonObject:
    """Return the fields as those of chat. Raises `InvalidRequest` for those that chat cannot honour."""
    others = {
        name: value for name, value in fields.items() if name not in ("suffix", "best_of", "logprobs", "messages")
    }
    if fields.get("suffix"):
        _refuse("suffix", "is not supported: a chat model does not fill in text before a given end.")
    if fields.get("best_of") not in (None, 1, fields.get("n")):
        _refuse("best_of", "is not supported, because it generates answers that are charged and not shown.")
    others.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    logprobs = fields.get("logprobs")
    if logprobs is not None:
        if type(logprobs) is not int or not 0 <= logprobs <= MAX_LOGPROBS:
            _refuse("logprobs", f"must be a number from 0 to {MAX_LOGPROBS}.")
        others |= {"logprobs": True, "top_logprobs": logprobs}
    return others


class _Logprob(Struct, frozen=True):
    token: str
    logprob: Json
    top: JsonObject


def _text_logprobs(logprobs: Json, offset: int) -> Json:
    """Return chat's log probabilities as those of text completions; the first token is at `offset` of the text."""
    match logprobs:
        case {"content": [*entries]} if entries:
            tokens = [_logprob(entry) for entry in entries]
        case _:
            return None
    offsets: list[Json] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [token.top for token in tokens],
        "text_offset": offsets,
    }


def _logprob(entry: Json) -> _Logprob:
    match entry:
        case {"token": str(token), "logprob": logprob}:
            others = entry.get("top_logprobs")
            tops = [_logprob(other) for other in others] if isinstance(others, list) else []
            return _Logprob(token, logprob, {top.token: top.logprob for top in tops})
        case _:
            return _Logprob("", None, {})
