"""Content parts as Gemini's parts: text, inline bytes, or files that Google reads itself.

Sources: https://ai.google.dev/gemini-api/docs/file-input-methods, …/docs/image-understanding, …/docs/audio,
…/docs/video-understanding (YouTube), …/docs/document-processing (all 2026-11).
"""

import re
from collections.abc import Iterable, Iterator

from tidegate.chat.media import MediaContent, content_from_bytes, media_type_of_name, parse_media
from tidegate.chat.messages import (
    AssistantMessage,
    DocumentPart,
    FilePart,
    ImagePart,
    InputAudio,
    InputAudioPart,
    Message,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_TYPE_ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mpeg": "audio/mp3",
    "audio/mp4": "audio/m4a",
    "video/quicktime": "video/mov",
    "application/x-pdf": "application/pdf",
}
_TEXT_TYPES = re.compile(
    r"text/.*|application/(json|x-ndjson|xml|yaml|x-yaml|javascript|x-sh|sql|toml|x-python)|.*\+(json|xml)"
)
_GOOGLE_TEXT_TYPES = frozenset({"text/plain", "text/csv", "text/html", "text/css", "text/xml", "text/rtf"})
_INLINE_TYPES = _IMAGE_TYPES | _GOOGLE_TEXT_TYPES | {"application/pdf"}
_AUDIO_TYPE_BY_FORMAT = {
    "mpeg": "audio/mp3",
    "pcm16": "audio/l16;rate=24000",
    **{name: f"audio/{name}" for name in ("wav", "mp3", "opus", "flac", "ogg", "aac", "aiff", "m4a", "webm")},
}
_YOUTUBE = re.compile(r"https?://((www\.|m\.)?youtube\.com/(watch\?|shorts/|live/)|youtu\.be/)", re.I)
_GOOGLE_FILE = re.compile(r"(https://[^/]+/v1(alpha|beta)?/)?files/[\w-]+$")


def urls_to_fetch(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """Yield the paths and URLs of media that the gateway must fetch: not all models accept https URLs."""
    for i, message in enumerate(messages):
        if isinstance(message, AssistantMessage) or not isinstance(message.content, list):
            continue
        for j, part in enumerate(message.content):
            source_path, url = _path_and_url(part)
            if url and url.startswith(("https://", "http://")) and not _is_google_file(url):
                yield f"messages[{i}].content[{j}].{source_path}", url


def gemini_parts(builder: GeminiRequestBuilder, part: Part, path: str) -> list[JsonObject]:
    """Return Gemini's parts for one content part. Raises `InvalidRequest` for unsupported media."""
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return [{"text": text}] if text else []
        case InputAudioPart(input_audio=audio):
            return [_audio_part(builder, audio, path)]
        case ImagePart(image_url=image):
            if image.detail not in (None, "auto"):
                builder.ignored.append(f"{path}.image_url.detail")
            return [_media_part(builder, image.url, path)]
        case VideoPart(video_url=video):
            return [_media_part(builder, video.url, path)]
        case FilePart(file=file):
            source = file.file_data or file.file_id
            if source is None:
                raise InvalidRequest("A file must have `file_data` or `file_id`.", param=f"{path}.file")
            return [_media_part(builder, source, path, file.filename or "")]
        case DocumentPart():
            return _document_parts(builder, part, path)


def _path_and_url(part: Part) -> tuple[str, str | None]:
    """Return the path and the URL of a part's source."""
    match part:
        case ImagePart(image_url=image):
            return "image_url.url", image.url
        case VideoPart(video_url=video):
            return "video_url.url", video.url
        case FilePart(file=file):
            return ("file.file_data", file.file_data) if file.file_data else ("file.file_id", file.file_id)
        case DocumentPart(source={"type": "url", "url": str(url)}):
            return "source.url", url
        case _:
            return "", None


def _is_google_file(url: str) -> bool:
    return url.startswith("gs://") or bool(_YOUTUBE.match(url) or _GOOGLE_FILE.match(url))


def _media_part(builder: GeminiRequestBuilder, source: str, path: str, name: str = "") -> JsonObject:
    if _is_google_file(source):
        return _file_part(source, name)
    fetched = builder.call.media.get(source)
    if fetched is not None:
        return _inline_part(builder, content_from_bytes(fetched.data, fetched.content_type), path, source)
    if "://" in source[:12] or source.startswith("file-"):
        raise InvalidRequest(f"{builder.capabilities.name} cannot read this file. Send it as a data URI.", param=path)
    return _inline_part(builder, _decode_data(source, path), path, name)


def _decode_data(source: str, path: str, declared_type: str = "") -> MediaContent:
    data = parse_media(source, declared_type)
    if data is None:
        raise InvalidRequest("The media must be a data URI: data:<type>;base64,<content>.", param=path)
    return data


def _file_part(uri: str, name: str) -> JsonObject:
    file: JsonObject = {"fileUri": uri}
    media_type = "video/mp4" if _YOUTUBE.match(uri) else media_type_of_name(uri) or media_type_of_name(name)
    if media_type is not None:
        file["mimeType"] = _google_media_type(media_type)
    return {"fileData": file}


def _inline_part(builder: GeminiRequestBuilder, data: MediaContent, path: str, name: str) -> JsonObject:
    media_type = data.media_type
    if media_type in ("", "application/octet-stream", "binary/octet-stream"):
        media_type = media_type_of_name(name) or media_type
    media_type = _google_media_type(media_type)
    if media_type in _INLINE_TYPES or media_type.startswith(("audio/", "video/")):
        return {"inlineData": {"mimeType": media_type, "data": data.base64}}
    type_phrase = f"of type {media_type!r}" if media_type else "of an unknown type"
    raise InvalidRequest(f"{builder.capabilities.name} does not support media {type_phrase}.", param=path)


def _google_media_type(media_type: str) -> str:
    """Return Google's name of the type. Text types that Google does not know become plain text."""
    media_type = _TYPE_ALIASES.get(media_type, media_type)
    return "text/plain" if _TEXT_TYPES.fullmatch(media_type) and media_type not in _GOOGLE_TEXT_TYPES else media_type


def _audio_part(builder: GeminiRequestBuilder, audio: InputAudio, path: str) -> JsonObject:
    media_type = _AUDIO_TYPE_BY_FORMAT.get(audio.format.lower())
    if media_type is None:
        text = f"{builder.capabilities.name} does not support audio of format {audio.format!r}."
        raise InvalidRequest(text, param=f"{path}.input_audio.format")
    data = parse_media(audio.data) if audio.data.startswith("data:") else MediaContent("", audio.data)
    return {"inlineData": {"mimeType": media_type, "data": data.base64 if data else audio.data}}


def _document_parts(builder: GeminiRequestBuilder, part: DocumentPart, path: str) -> list[JsonObject]:
    builder.ignored.extend(f"{path}.{name}" for name in ("title", "context") if getattr(part, name))
    match part.source:
        case {"type": "base64", "data": str(data), "media_type": str(media_type)}:
            return [_inline_part(builder, _decode_data(data, path, media_type), path, part.title or "")]
        case {"type": "url", "url": str(url)} | {"type": "file", "file_id": str(url)}:
            return [_media_part(builder, url, path, part.title or "")]
        case {"type": "text", "data": str(text)}:
            return [{"text": text}] if text else []
        case _:
            text = f"{builder.capabilities.name} does not support this type of source."
            raise InvalidRequest(text, param=f"{path}.source")
