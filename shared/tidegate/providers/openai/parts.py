"""Content parts as a provider of the dialect takes them: documents as files or text, and marks of caching where known.

Sources, read in 2026-11: https://platform.openai.com/docs/guides/pdf-files?api-mode=chat (`file_data` is a data URI),
https://openrouter.ai/docs/guides/overview/multimodal/pdfs (or a URL); for what marks do to strict providers, refusals
of Groq, Cerebras and Fireworks as their users report them ("property 'cache_control' is unsupported").
"""

from collections.abc import Iterable, Iterator

from tidegate.chat.media import MediaContent, content_from_bytes, parse_media
from tidegate.chat.messages import AssistantMessage, DocumentPart, FilePart, Message
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.openai.quirks import FileStyle
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder

_OURS = frozenset({"document", "video_url"})
_READ = frozenset({"type", "source", "cache_control"})
_WEB = ("https://", "http://")


def urls_to_fetch(files: FileStyle, messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """The paths and URLs of files that have to be fetched, where the provider wants their bytes."""
    if files != "data":
        return
    for i, message in enumerate(messages):
        if isinstance(message, AssistantMessage) or not isinstance(message.content, list):
            continue
        for j, part in enumerate(message.content):
            match part:
                case DocumentPart(source={"type": "url", "url": str(url)}) if url.startswith(_WEB):
                    yield f"messages[{i}].content[{j}].source.url", url
                case FilePart() if part.file.file_data and part.file.file_data.startswith(_WEB):
                    yield f"messages[{i}].content[{j}].file.file_data", part.file.file_data
                case _:
                    pass


def write(draft: OpenAIRequestBuilder, parts: list[Json], path: str) -> list[Json]:
    """The parts to send. Raises `InvalidRequest` for one that the provider has nothing like."""
    return [_part(draft, part, f"{path}.content[{i}]") for i, part in enumerate(parts)]


def without_cache_control(draft: OpenAIRequestBuilder, holder: JsonObject) -> JsonObject:
    """The object without its `cache_control`, where that is not known to be taken: caching is implicit there."""
    if draft.caching or "cache_control" not in holder:
        return holder
    return {name: value for name, value in holder.items() if name != "cache_control"}


def _part(draft: OpenAIRequestBuilder, raw: Json, path: str) -> Json:
    if not isinstance(raw, dict):
        return raw
    part = without_cache_control(draft, raw)
    match part:
        case {"type": str(kind)} if kind in draft.quirks.media:
            return part
        case {"type": "document", "source": dict(source)}:
            return _document(draft, part, source, path)
        case {"type": "file", "file": {"file_data": str(url)} as file} if url in draft.media:
            return {**part, "file": {**file, "file_data": _uri(_fetched(draft, url))}}
        case {"type": str(kind)} if kind in _OURS:
            raise _refused(draft, kind, path)
        case _:
            return part


def _document(draft: OpenAIRequestBuilder, part: JsonObject, source: JsonObject, path: str) -> JsonObject:
    match source:
        case {"type": "text", "data": str(text)}:
            return _text(draft, part, text, path)
        case {"type": "base64", "data": str(data), "media_type": str(media_type)}:
            return _held(draft, part, parse_media(data, media_type), path)
        case {"type": "url", "url": str(url)} if url in draft.media:
            return _held(draft, part, _fetched(draft, url), path)
        case {"type": "url", "url": str(url)} if draft.quirks.files == "url":
            return _file(draft, part, {"file_data": url}, path)
        case {"type": "file", "file_id": str(file_id)} if draft.quirks.files == "data":
            return _file(draft, part, {"file_id": file_id}, path)
        case _:
            raise _refused(draft, "document", path)


def _held(draft: OpenAIRequestBuilder, part: JsonObject, data: MediaContent | None, path: str) -> JsonObject:
    if data is None:
        raise InvalidRequest("The document's data is not base64.", param=f"{path}.source.data")
    if data.media_type.startswith("text/"):
        try:
            return _text(draft, part, data.text(), path)
        except ValueError:
            raise InvalidRequest("The document is not UTF-8 text in base64.", param=f"{path}.source.data") from None
    if draft.quirks.files == "none":
        raise _refused(draft, "document", path)
    return _file(draft, part, {"file_data": _uri(data)}, path)


def _file(draft: OpenAIRequestBuilder, part: JsonObject, file: JsonObject, path: str) -> JsonObject:
    """The document as a file; its title is the name, which a file that is sent as data must have."""
    title = part.get("title")
    if "file_id" not in file:
        name = title if isinstance(title, str) and title else "document"
        file = {"filename": name if name.lower().endswith(".pdf") else f"{name}.pdf", **file}
    _report(draft, part, path, {"title"} if "filename" in file else set())
    return _marked(part, {"type": "file", "file": file})


def _text(draft: OpenAIRequestBuilder, part: JsonObject, text: str, path: str) -> JsonObject:
    _report(draft, part, path, set())
    return _marked(part, {"type": "text", "text": text})


def _marked(part: JsonObject, made: JsonObject) -> JsonObject:
    return {**made, "cache_control": part["cache_control"]} if part.get("cache_control") else made


def _report(draft: OpenAIRequestBuilder, part: JsonObject, path: str, said: set[str]) -> None:
    draft.ignored.extend(f"{path}.{name}" for name, value in part.items() if value and name not in _READ | said)


def _fetched(draft: OpenAIRequestBuilder, url: str) -> MediaContent:
    media = draft.media[url]
    return content_from_bytes(media.data, media.content_type)


def _uri(data: MediaContent) -> str:
    return f"data:{data.media_type or 'application/pdf'};base64,{data.base64}"


def _refused(draft: OpenAIRequestBuilder, kind: str, path: str) -> InvalidRequest:
    return InvalidRequest(f"{draft.body.get('model')} takes no content parts of type {kind!r}.", param=path)
