"""Content parts as Gemini takes them: text, bytes inline, or files that Google reads itself.

Sources: https://ai.google.dev/gemini-api/docs/file-input-methods, …/docs/image-understanding, …/docs/audio,
…/docs/video-understanding (YouTube), …/docs/document-processing (all 2026-11).
"""

import re
from collections.abc import Iterable, Iterator

from tidegate.chat.media import Data, of_bytes, read, type_of_name
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
from tidegate.providers.gemini.request_builder import Draft

_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mpeg": "audio/mp3",
    "audio/mp4": "audio/m4a",
    "video/quicktime": "video/mov",
    "application/x-pdf": "application/pdf",
}
_TEXTS = re.compile(
    r"text/.*|application/(json|x-ndjson|xml|yaml|x-yaml|javascript|x-sh|sql|toml|x-python)|.*\+(json|xml)"
)
_PLAIN = frozenset({"text/plain", "text/csv", "text/html", "text/css", "text/xml", "text/rtf"})
_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "mpeg": "audio/mp3",
    "opus": "audio/opus",
    "pcm16": "audio/l16;rate=24000",
}
_AUDIO_FORMATS = {**_AUDIO, **{name: f"audio/{name}" for name in ("flac", "ogg", "aac", "aiff", "m4a", "webm")}}
_YOUTUBE = re.compile(r"https?://((www\.|m\.)?youtube\.com/(watch\?|shorts/|live/)|youtu\.be/)", re.I)
_FILE = re.compile(r"(https://[^/]+/v1(alpha|beta)?/)?files/[\w-]+$")


def urls(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """The paths and URLs of media that have to be fetched: Google takes no https URL of every model."""
    for i, message in enumerate(messages):
        if isinstance(message, AssistantMessage) or not isinstance(message.content, list):
            continue
        for j, part in enumerate(message.content):
            place, url = _source(part)
            if url and url.startswith(("https://", "http://")) and not _is_googles(url):
                yield f"messages[{i}].content[{j}].{place}", url


def native(draft: Draft, part: Part, path: str) -> list[JsonObject]:
    """The parts of Gemini's that one content part becomes. Raises `InvalidRequest` for what it cannot take."""
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return [{"text": text}] if text else []
        case InputAudioPart(input_audio=audio):
            return [_audio(draft, audio, path)]
        case ImagePart(image_url=image):
            if image.detail not in (None, "auto"):
                draft.ignored.append(f"{path}.image_url.detail")
            return [_read(draft, image.url, path)]
        case VideoPart(video_url=video):
            return [_read(draft, video.url, path)]
        case FilePart(file=file):
            source = file.file_data or file.file_id
            if source is None:
                raise InvalidRequest("A file needs `file_data` or `file_id`.", param=f"{path}.file")
            return [_read(draft, source, path, file.filename or "")]
        case DocumentPart():
            return _document(draft, part, path)


def _source(part: Part) -> tuple[str, str | None]:
    """Where in the part its source stands, and the source."""
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


def _is_googles(url: str) -> bool:
    return url.startswith("gs://") or bool(_YOUTUBE.match(url) or _FILE.match(url))


def _read(draft: Draft, source: str, path: str, name: str = "") -> JsonObject:
    if _is_googles(source):
        return _file(source, name)
    fetched = draft.call.media.get(source)
    if fetched is not None:
        return _inline(draft, of_bytes(fetched.data, fetched.content_type), path, source)
    if "://" in source[:12] or source.startswith("file-"):
        raise InvalidRequest(f"{draft.model.name} cannot read this file: send it as a data URI.", param=path)
    return _inline(draft, _held(source, path), path, name)


def _held(source: str, path: str, declared: str = "") -> Data:
    data = read(source, declared)
    if data is None:
        raise InvalidRequest("This is not a data URI: data:<type>;base64,<content>.", param=path)
    return data


def _file(uri: str, name: str) -> JsonObject:
    file: JsonObject = {"fileUri": uri}
    media_type = "video/mp4" if _YOUTUBE.match(uri) else type_of_name(uri) or type_of_name(name)
    if media_type is not None:
        file["mimeType"] = _called(media_type)
    return {"fileData": file}


def _inline(draft: Draft, data: Data, path: str, name: str) -> JsonObject:
    media_type = data.media_type
    if media_type in ("", "application/octet-stream", "binary/octet-stream"):
        media_type = type_of_name(name) or media_type
    media_type = _called(media_type)
    kind = media_type.partition("/")[0]
    if media_type in _IMAGES or media_type in _PLAIN or media_type == "application/pdf" or kind in ("audio", "video"):
        return {"inlineData": {"mimeType": media_type, "data": data.base64}}
    what = f"of type {media_type!r}" if media_type else "of an unknown type"
    raise InvalidRequest(f"{draft.model.name} takes no media {what}.", param=path)


def _called(media_type: str) -> str:
    """What Google calls the type. Of texts it knows a few, and all of them are plain text too."""
    media_type = _ALIASES.get(media_type, media_type)
    return "text/plain" if _TEXTS.fullmatch(media_type) and media_type not in _PLAIN else media_type


def _audio(draft: Draft, audio: InputAudio, path: str) -> JsonObject:
    media_type = _AUDIO_FORMATS.get(audio.format.lower())
    if media_type is None:
        raise InvalidRequest(
            f"{draft.model.name} takes no audio of format {audio.format!r}.", param=f"{path}.input_audio.format"
        )
    data = read(audio.data) if audio.data.startswith("data:") else Data("", audio.data)
    return {"inlineData": {"mimeType": media_type, "data": data.base64 if data else audio.data}}


def _document(draft: Draft, part: DocumentPart, path: str) -> list[JsonObject]:
    draft.ignored.extend(f"{path}.{name}" for name in ("title", "context") if getattr(part, name))
    match part.source:
        case {"type": "base64", "data": str(data), "media_type": str(media_type)}:
            return [_inline(draft, _held(data, path, media_type), path, part.title or "")]
        case {"type": "url", "url": str(url)} | {"type": "file", "file_id": str(url)}:
            return [_read(draft, url, path, part.title or "")]
        case {"type": "text", "data": str(text)}:
            return [{"text": text}] if text else []
        case _:
            raise InvalidRequest(f"{draft.model.name} takes no document of this source.", param=f"{path}.source")
