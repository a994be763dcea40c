"""`generationConfig`: output limit, sampling, modalities, response format, and Gemini's own fields from the caller.

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
"""Fields of `generationConfig` that callers may send at the top level, in camel case or snake case."""

_UNDERSCORED_LETTER = re.compile(r"_([a-z])")


def to_camel_case(name: str) -> str:
    """Return Google's spelling of a name: `mediaResolution` for `media_resolution`."""
    return _UNDERSCORED_LETTER.sub(lambda letter_match: letter_match[1].upper(), name)


def to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda letter_match: f"_{letter_match[1].lower()}", name)


_SPELLINGS = {spelling: name for name in _NATIVE_FIELDS for spelling in (name, to_snake_case(name))}


def write(builder: GeminiRequestBuilder) -> None:
    """Write `generationConfig` except `thinkingConfig`, after the tools."""
    is_plain, fields = builder.call.request.is_plain, builder.call.request.fields
    if not is_plain:
        _write_native(builder)
    _take_all(builder, "max_tokens", "max_completion_tokens", "stop", "n", "logprobs", "top_logprobs")
    limit = builder.call.request.output_limit
    if limit is not None:
        builder.generation_config["maxOutputTokens"] = limit
    if fields.stop:
        stop = [fields.stop] if isinstance(fields.stop, str) else fields.stop
        builder.generation_config["stopSequences"] = list[Json](stop)
    for name, gemini_name in _SAMPLING_FIELDS.items():
        value = builder.take(name)
        if name in builder.capabilities.unsupported_fields:
            builder.leave_out(name, value)
        elif value is not None and value != _NEUTRAL_PENALTIES.get(name):
            builder.generation_config[gemini_name] = value
    if fields.n is not None and fields.n > 1:
        if "n" in builder.capabilities.unsupported_fields:
            builder.ignored.append("n")
        else:
            builder.generation_config["candidateCount"] = fields.n
    if fields.logprobs and "logprobs" in builder.capabilities.unsupported_fields:
        builder.ignored.append("logprobs")
    elif fields.logprobs:
        builder.generation_config["responseLogprobs"] = True
        if fields.top_logprobs:
            builder.generation_config["logprobs"] = fields.top_logprobs
    if not is_plain:
        _write_modalities(builder)
        _write_response_format(builder)


def _take_all(builder: GeminiRequestBuilder, *names: str) -> None:
    for name in names:
        builder.take(name)


def _write_native(builder: GeminiRequestBuilder) -> None:
    """Write the caller's own `generationConfig` first, so that OpenAI's fields overwrite it."""
    for name in ("generationConfig", "generation_config"):
        native = builder.take(name)
        if isinstance(native, dict):
            config = {to_camel_case(inner): value for inner, value in native.items() if value is not None}
            builder.generation_config.update(config)
    for spelling, name in _SPELLINGS.items():
        value = builder.take(spelling)
        if value is not None:
            builder.generation_config[name] = value


def _write_modalities(builder: GeminiRequestBuilder) -> None:
    """Write the modalities of the answer (text, image, audio) and the voice."""
    modalities = builder.take("modalities")
    if isinstance(modalities, list):
        upper_modalities: list[Json] = [modality.upper() for modality in modalities if isinstance(modality, str)]
        if upper_modalities != ["TEXT"]:
            builder.generation_config["responseModalities"] = upper_modalities
    match builder.take("audio"):
        case {"voice": str(voice), **audio_fields}:
            speech_config: JsonObject = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
            builder.generation_config.setdefault("speechConfig", speech_config)
            if audio_fields.get("format") not in (None, "pcm16"):
                builder.ignored.append("audio.format")
        case None:
            pass
        case _:
            builder.ignored.append("audio")


def _write_response_format(builder: GeminiRequestBuilder) -> None:
    response_format, structured = builder.take("response_format"), builder.take("structured_outputs")
    match builder.call.request.fields.response_format, structured:
        case JsonSchemaFormat(json_schema=json_schema), _:
            path = "response_format.json_schema.schema"
            _write_schema(builder, _schema_of(response_format), path, json_schema.description)
            if json_schema.schema is None:
                builder.ignored.append("response_format.json_schema")
        case JsonObjectFormat(), _:
            _write_schema(builder, None, "response_format")
        case _, {"json": dict(json_schema), **other_fields}:
            _write_schema(builder, json_schema, "structured_outputs.json")
            builder.ignored.extend(f"structured_outputs.{name}" for name in other_fields)
        case _, dict() | True:
            builder.ignored.append("structured_outputs")
        case _:
            pass


def _schema_of(response_format: Json) -> JsonObject | None:
    match response_format:
        case {"json_schema": {"schema": dict(json_schema)}}:
            return json_schema
        case _:
            return None


def _write_schema(
    builder: GeminiRequestBuilder, json_schema: JsonObject | None, path: str, description: str | None = None
) -> None:
    if tools.write_answer_tool(builder, json_schema, description, path):
        return
    builder.generation_config["responseMimeType"] = "application/json"
    if json_schema is None:
        return
    if builder.capabilities.takes_json_schema:
        builder.generation_config["responseJsonSchema"] = json_schema
    else:
        builder.generation_config["responseSchema"] = schema.convert(json_schema, path, builder.schema_parts)
