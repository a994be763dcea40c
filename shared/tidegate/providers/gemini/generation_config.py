"""`generationConfig`: limits, sampling, formats of the answer, and the caller's own fields of Gemini's.

Source: https://ai.google.dev/api/generate-content#generationconfig (2026-11).
"""

import re

from tidegate.chat.request import JsonObjectFormat, JsonSchemaFormat
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import schema, tools
from tidegate.providers.gemini.request_builder import Draft

_RENAMED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_NOTHING: dict[str, Json] = {"presence_penalty": 0, "frequency_penalty": 0}
_NATIVE = (
    *("responseModalities", "mediaResolution", "speechConfig", "imageConfig", "audioTimestamp", "routingConfig"),
    *("modelSelectionConfig", "enableEnhancedCivicAnswers", "responseMimeType", "responseSchema", "responseJsonSchema"),
)
"""Fields of `generationConfig` that may also stand at the top of a request, in Google's or in Python's spelling."""

_HUMP = re.compile(r"_([a-z])")


def camel(name: str) -> str:
    """Google's spelling of a name: media_resolution is mediaResolution."""
    return _HUMP.sub(lambda found: found[1].upper(), name)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def write(draft: Draft) -> None:
    _write_native(draft)
    fields = draft.call.request.fields
    _take(draft, "max_tokens", "max_completion_tokens", "stop", "n", "logprobs", "top_logprobs")
    limit = draft.call.request.output_limit
    if limit is not None:
        draft.config["maxOutputTokens"] = limit
    if fields.stop:
        draft.config["stopSequences"] = [fields.stop] if isinstance(fields.stop, str) else list[Json](fields.stop)
    for name, native in _RENAMED.items():
        value = draft.take(name)
        if name in draft.model.unsupported:
            draft.leave_out(name, value)
        elif value is not None and value != _NOTHING.get(name):
            draft.config[native] = value
    if fields.n is not None and fields.n > 1:
        if "n" in draft.model.unsupported:
            draft.ignored.append("n")
        else:
            draft.config["candidateCount"] = fields.n
    if fields.logprobs:
        draft.config["responseLogprobs"] = True
        if fields.top_logprobs:
            draft.config["logprobs"] = fields.top_logprobs
    _write_output(draft)
    _write_format(draft)


def _take(draft: Draft, *names: str) -> None:
    for name in names:
        draft.take(name)


def _write_native(draft: Draft) -> None:
    """The caller's own `generationConfig` comes first, so that OpenAI's fields win over it."""
    for name in ("generationConfig", "generation_config"):
        given = draft.take(name)
        if isinstance(given, dict):
            draft.config.update({camel(inner): value for inner, value in given.items() if value is not None})
    for name in _NATIVE:
        for spelt in (name, snake(name)):
            value = draft.take(spelt)
            if value is not None:
                draft.config[name] = value


def _write_output(draft: Draft) -> None:
    """What kinds of answer: texts, images, speech."""
    modalities = draft.take("modalities")
    if isinstance(modalities, list):
        kinds: list[Json] = [kind.upper() for kind in modalities if isinstance(kind, str)]
        if kinds != ["TEXT"]:
            draft.config["responseModalities"] = kinds
    match draft.take("audio"):
        case {"voice": str(voice), **rest}:
            spoken: JsonObject = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
            draft.config.setdefault("speechConfig", spoken)
            if rest.get("format") not in (None, "pcm16"):
                draft.ignored.append("audio.format")
        case None:
            pass
        case _:
            draft.ignored.append("audio")


def _write_format(draft: Draft) -> None:
    wanted, structured = draft.take("response_format"), draft.take("structured_outputs")
    match draft.call.request.fields.response_format, structured:
        case JsonSchemaFormat(json_schema=given), _:
            _write_schema(draft, _schema_of(wanted), "response_format.json_schema.schema", given.description)
            if given.schema is None:
                draft.ignored.append("response_format.json_schema")
        case JsonObjectFormat(), _:
            _write_schema(draft, None, "response_format")
        case _, {"json": dict(given), **rest}:
            _write_schema(draft, given, "structured_outputs.json")
            draft.ignored.extend(f"structured_outputs.{name}" for name in rest)
        case _, dict() | True:
            draft.ignored.append("structured_outputs")
        case _:
            pass


def _schema_of(wanted: Json) -> JsonObject | None:
    match wanted:
        case {"json_schema": {"schema": dict(given)}}:
            return given
        case _:
            return None


def _write_schema(draft: Draft, given: JsonObject | None, path: str, about: str | None = None) -> None:
    if tools.answer_in_json(draft, given, about, path):
        return
    draft.config["responseMimeType"] = "application/json"
    if given is None:
        return
    if draft.model.json_schema:
        draft.config["responseJsonSchema"] = given
    else:
        draft.config["responseSchema"] = schema.convert(given, path)
