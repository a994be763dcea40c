"""Content parts as a provider of the dialect takes them: documents as files or text, `cache_control` where supported.

Sources, read in 2026-11: https://platform.openai.com/docs/guides/pdf-files?api-mode=chat (`file_data` is a data URI),
https://openrouter.ai/docs/guides/overview/multimodal/pdfs (or a URL); Groq, Cerebras and
Fireworks refuse `cache_control`, as their users report ("property 'cache_control' is unsupported").
"""

from collections.abc import Iterable, Iterator

from tidegate.chat.media import MediaContent, content_from_bytes, parse_media
from tidegate.chat.messages import AssistantMessage, DocumentPart, FilePart, Message
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.openai.quirks import FileStyle
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder

_PLAIN_TYPES = ("text", "image_url", "input_audio", "refusal")
_GATEWAY_TYPES = frozenset({"document", "video_url"})
_READ_FIELDS = frozenset({"type", "source", "cache_control"})
_HTTP = ("https://", "http://")


def urls_to_fetch(files: FileStyle, messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """Yield the paths and URLs of files that must be fetched because the provider takes only their bytes."""
    if files != "data":
        return
    for i, message in enumerate(messages):
        if isinstance(message, AssistantMessage) or not isinstance(message.content, list):
            continue
        for j, part in enumerate(message.content):
            match part:
                case DocumentPart(source={"type": "url", "url": str(url)}) if url.startswith(_HTTP):
                    yield f"messages[{i}].content[{j}].source.url", url
                case FilePart() if part.file.file_data and part.file.file_data.startswith(_HTTP):
                    yield f"messages[{i}].content[{j}].file.file_data", part.file.file_data
                case _:
                    pass


def write(builder: OpenAIRequestBuilder, parts: list[Json], path: str) -> list[Json]:
    """Return the parts to send. Raises `InvalidRequest` for a part that the provider does not support."""
    return [part if _is_plain(part) else _part(builder, part, f"{path}.content[{i}]") for i, part in enumerate(parts)]


def _is_plain(part: Json) -> bool:
    """True for a part that is sent as it is to all providers."""
    return isinstance(part, dict) and part.get("type") in _PLAIN_TYPES and "cache_control" not in part


def without_cache_control(builder: OpenAIRequestBuilder, holder: JsonObject) -> JsonObject:
    """Return the object without `cache_control` if the provider does not support it: its caching is implicit."""
    if builder.caching or "cache_control" not in holder:
        return holder
    return {name: value for name, value in holder.items() if name != "cache_control"}


def _part(builder: OpenAIRequestBuilder, raw: Json, path: str) -> Json:
    if not isinstance(raw, dict):
        return raw
    part = without_cache_control(builder, raw)
    part_type = part.get("type")
    if not isinstance(part_type, str) or part_type in builder.quirks.media:
        return part
    if part_type == "document" and isinstance(source := part.get("source"), dict):
        return _document_part(builder, part, source, path)
    if part_type == "file" and builder.media:
        match part.get("file"):
            case {"file_data": str(url)} as file if url in builder.media:
                return {**part, "file": {**file, "file_data": _data_uri(_fetched_data(builder, url))}}
            case _:
                pass
    if part_type in _GATEWAY_TYPES:
        raise _unsupported(builder, part_type, path)
    return part


def _document_part(builder: OpenAIRequestBuilder, part: JsonObject, source: JsonObject, path: str) -> JsonObject:
    match source:
        case {"type": "text", "data": str(text)}:
            return _text_part(builder, part, text, path)
        case {"type": "base64", "data": str(data), "media_type": str(media_type)}:
            return _data_part(builder, part, parse_media(data, media_type), path)
        case {"type": "url", "url": str(url)} if url in builder.media:
            return _data_part(builder, part, _fetched_data(builder, url), path)
        case {"type": "url", "url": str(url)} if builder.quirks.files == "url":
            return _file_part(builder, part, {"file_data": url}, path)
        case {"type": "file", "file_id": str(file_id)} if builder.quirks.files == "data":
            return _file_part(builder, part, {"file_id": file_id}, path)
        case _:
            raise _unsupported(builder, "document", path)


def _data_part(builder: OpenAIRequestBuilder, part: JsonObject, data: MediaContent | None, path: str) -> JsonObject:
    if data is None:
        raise InvalidRequest("The document's data is not valid base64.", param=f"{path}.source.data")
    if data.media_type.startswith("text/"):
        try:
            return _text_part(builder, part, data.text(), path)
        except ValueError:
            raise InvalidRequest("The document is not UTF-8 text in base64.", param=f"{path}.source.data") from None
    if builder.quirks.files == "none":
        raise _unsupported(builder, "document", path)
    return _file_part(builder, part, {"file_data": _data_uri(data)}, path)


def _file_part(builder: OpenAIRequestBuilder, part: JsonObject, file: JsonObject, path: str) -> JsonObject:
    """Return the document as a file, named by its title; a file that is sent as data must have a name."""
    title = part.get("title")
    if "file_id" not in file:
        name = title if isinstance(title, str) and title else "document"
        file = {"filename": name if name.lower().endswith(".pdf") else f"{name}.pdf", **file}
    _report_unread(builder, part, path, {"title"} if "filename" in file else set())
    return _with_cache_control(part, {"type": "file", "file": file})


def _text_part(builder: OpenAIRequestBuilder, part: JsonObject, text: str, path: str) -> JsonObject:
    _report_unread(builder, part, path, set())
    return _with_cache_control(part, {"type": "text", "text": text})


def _with_cache_control(part: JsonObject, translated: JsonObject) -> JsonObject:
    return {**translated, "cache_control": part["cache_control"]} if part.get("cache_control") else translated


def _report_unread(builder: OpenAIRequestBuilder, part: JsonObject, path: str, also_read: set[str]) -> None:
    read = _READ_FIELDS | also_read
    builder.ignored.extend(f"{path}.{name}" for name, value in part.items() if value and name not in read)


def _fetched_data(builder: OpenAIRequestBuilder, url: str) -> MediaContent:
    media = builder.media[url]
    return content_from_bytes(media.data, media.content_type)


def _data_uri(data: MediaContent) -> str:
    return f"data:{data.media_type or 'application/pdf'};base64,{data.base64}"


def _unsupported(builder: OpenAIRequestBuilder, part_type: str, path: str) -> InvalidRequest:
    model = builder.body.get("model")
    return InvalidRequest(f"{model} does not accept content parts of type {part_type!r}.", param=path)
