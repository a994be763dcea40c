"""`generationConfig`: limits, sampling, formats of the answer, and the caller's own fields of Gemini's.

Source: https://ai.google.dev/api/generate-content#generationconfig (2026-11).
"""

import re

from tidegate.chat.fields import JsonObjectFormat, JsonSchemaFormat
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import schema, tools
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_SAMPLING_FIELDS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_NEUTRAL_PENALTIES: dict[str, Json] = {"presence_penalty": 0, "frequency_penalty": 0}
_NATIVE_FIELDS = (
    *("responseModalities", "mediaResolution", "speechConfig", "imageConfig", "audioTimestamp", "routingConfig"),
    *("modelSelectionConfig", "enableEnhancedCivicAnswers", "responseMimeType", "responseSchema", "responseJsonSchema"),
)
"""Fields of `generationConfig` that may also stand at the top of a request, in Google's or in Python's spelling."""

_UNDERSCORED_LETTER = re.compile(r"_([a-z])")


def to_camel_case(name: str) -> str:
    """Google's spelling of a name: media_resolution is mediaResolution."""
    return _UNDERSCORED_LETTER.sub(lambda letter_match: letter_match[1].upper(), name)


def to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda letter_match: f"_{letter_match[1].lower()}", name)


def write(draft: GeminiRequestBuilder) -> None:
    _write_native(draft)
    fields = draft.call.request.fields
    _take_all(draft, "max_tokens", "max_completion_tokens", "stop", "n", "logprobs", "top_logprobs")
    limit = draft.call.request.output_limit
    if limit is not None:
        draft.generation_config["maxOutputTokens"] = limit
    if fields.stop:
        draft.generation_config["stopSequences"] = (
            [fields.stop] if isinstance(fields.stop, str) else list[Json](fields.stop)
        )
    for name, gemini_name in _SAMPLING_FIELDS.items():
        value = draft.take(name)
        if name in draft.capabilities.unsupported_fields:
            draft.leave_out(name, value)
        elif value is not None and value != _NEUTRAL_PENALTIES.get(name):
            draft.generation_config[gemini_name] = value
    if fields.n is not None and fields.n > 1:
        if "n" in draft.capabilities.unsupported_fields:
            draft.ignored.append("n")
        else:
            draft.generation_config["candidateCount"] = fields.n
    if fields.logprobs:
        draft.generation_config["responseLogprobs"] = True
        if fields.top_logprobs:
            draft.generation_config["logprobs"] = fields.top_logprobs
    _write_modalities(draft)
    _write_response_format(draft)


def _take_all(draft: GeminiRequestBuilder, *names: str) -> None:
    for name in names:
        draft.take(name)


def _write_native(draft: GeminiRequestBuilder) -> None:
    """The caller's own `generationConfig` comes first, so that OpenAI's fields win over it."""
    for name in ("generationConfig", "generation_config"):
        native_config = draft.take(name)
        if isinstance(native_config, dict):
            draft.generation_config.update(
                {to_camel_case(field_name): value for field_name, value in native_config.items() if value is not None}
            )
    for name in _NATIVE_FIELDS:
        for spelling in (name, to_snake_case(name)):
            value = draft.take(spelling)
            if value is not None:
                draft.generation_config[name] = value


def _write_modalities(draft: GeminiRequestBuilder) -> None:
    """What kinds of answer: texts, images, speech."""
    modalities = draft.take("modalities")
    if isinstance(modalities, list):
        upper_modalities: list[Json] = [modality.upper() for modality in modalities if isinstance(modality, str)]
        if upper_modalities != ["TEXT"]:
            draft.generation_config["responseModalities"] = upper_modalities
    match draft.take("audio"):
        case {"voice": str(voice), **audio_fields}:
            speech_config: JsonObject = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
            draft.generation_config.setdefault("speechConfig", speech_config)
            if audio_fields.get("format") not in (None, "pcm16"):
                draft.ignored.append("audio.format")
        case None:
            pass
        case _:
            draft.ignored.append("audio")


def _write_response_format(draft: GeminiRequestBuilder) -> None:
    response_format, structured = draft.take("response_format"), draft.take("structured_outputs")
    match draft.call.request.fields.response_format, structured:
        case JsonSchemaFormat(json_schema=json_schema), _:
            _write_schema(
                draft, _schema_of(response_format), "response_format.json_schema.schema", json_schema.description
            )
            if json_schema.schema is None:
                draft.ignored.append("response_format.json_schema")
        case JsonObjectFormat(), _:
            _write_schema(draft, None, "response_format")
        case _, {"json": dict(json_schema), **other_fields}:
            _write_schema(draft, json_schema, "structured_outputs.json")
            draft.ignored.extend(f"structured_outputs.{name}" for name in other_fields)
        case _, dict() | True:
            draft.ignored.append("structured_outputs")
        case _:
            pass


def _schema_of(response_format: Json) -> JsonObject | None:
    match response_format:
        case {"json_schema": {"schema": dict(json_schema)}}:
            return json_schema
        case _:
            return None


def _write_schema(
    draft: GeminiRequestBuilder, json_schema: JsonObject | None, path: str, description: str | None = None
) -> None:
    if tools.write_answer_tool(draft, json_schema, description, path):
        return
    draft.generation_config["responseMimeType"] = "application/json"
    if json_schema is None:
        return
    if draft.capabilities.takes_json_schema:
        draft.generation_config["responseJsonSchema"] = json_schema
    else:
        draft.generation_config["responseSchema"] = schema.convert(json_schema, path)
