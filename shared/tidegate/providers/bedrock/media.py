"""Media as blocks of Converse: bytes or an S3 URL, and a format out of a short list.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026), and the rules for
names of documents in …/API_runtime_DocumentBlock.html.
"""

import re

from msgspec import Struct

from tidegate.chat import media
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject
from tidegate.providers.bedrock.request_builder import BedrockRequestBuilder

_OFFICE_PREFIX = "application/vnd.openxmlformats-officedocument."
_FORMAT_BY_TYPE = {
    **{f"image/{name}": name for name in ("png", "jpeg", "gif", "webp")},
    "image/jpg": "jpeg",
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE_PREFIX}wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE_PREFIX}spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "application/json": "txt",
    "text/markdown": "md",
    **{f"video/{name}": name for name in ("mp4", "webm", "mpeg")},
    **{"video/x-matroska": "mkv", "video/quicktime": "mov", "video/x-flv": "flv", "video/x-ms-wmv": "wmv"},
    "video/3gpp": "three_gp",
    **{f"audio/{name}": name for name in ("mp3", "wav", "opus", "aac", "flac", "ogg", "webm")},
    **{"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/mp4": "m4a"},
}
_VAGUE_TYPES = frozenset({"text/plain"})
_FORMATS_BY_KIND = {
    "image": ("png", "jpeg", "gif", "webp"),
    "document": ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": ("mp3", "opus", "wav", "aac", "flac", "ogg", "m4a", "mka", "pcm"),
}
_FORMAT_BY_EXTENSION = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp", "json": "txt", "text": "txt"}
_KIND_BY_FORMAT = {name: kind for kind, names in _FORMATS_BY_KIND.items() for name in names}
_FORBIDDEN_IN_NAMES = re.compile(r"[^\w\-()\[\] ]|_", re.ASCII)
_SPACES = re.compile(r"\s+")
_MAX_NAME = 180


class BedrockMediaSource(Struct, frozen=True):
    """A media block without its name. `kind` is the block's type: image, document, video or audio."""

    kind: str
    format: str
    source: JsonObject


def read_media(
    builder: BedrockRequestBuilder, url: str, path: str, *, declared_type: str = "", name: str = ""
) -> BedrockMediaSource:
    """Return the media in `url`: base64, a data URI, an `s3://` URL, or a URL that the gateway fetched.

    `declared_type` is the media type that the caller declared. Raises `InvalidRequest`.
    """
    if url.startswith("s3://"):
        media_format = _format_of("", url) or _format_of(declared_type, name)
        return _media_source(builder, media_format, {"s3Location": {"uri": url}}, path)
    if url.startswith(("https://", "http://")):
        fetched = builder.call.media.get(url)
        if fetched is None:
            raise InvalidRequest("The gateway did not fetch this URL.", param=path)
        data = media.content_from_bytes(fetched.data, fetched.content_type)
        return _inline_media(builder, data, path, name or url.partition("?")[0])
    data = media.parse_media(url, declared_type)
    if data is None:
        raise InvalidRequest("The media must be a URL, a data URI or base64.", param=path)
    return _inline_media(builder, data, path, name)


def _inline_media(builder: BedrockRequestBuilder, data: media.MediaContent, path: str, name: str) -> BedrockMediaSource:
    if not data.base64:
        raise InvalidRequest("The media is empty.", param=path)
    is_audio = data.media_type.startswith("audio/")
    return _media_source(builder, _format_of(data.media_type, name), {"bytes": data.base64}, path, is_audio=is_audio)


def media_block(builder: BedrockRequestBuilder, media_source: BedrockMediaSource, name: str = "") -> JsonObject:
    """Return the media's block. Documents get a name that Converse accepts and that is unique in the request."""
    fields: JsonObject = {"format": media_source.format, "source": media_source.source}
    if media_source.kind == "document":
        fields["name"] = _unique_document_name(builder, name)
    return {media_source.kind: fields}


def _unique_document_name(builder: BedrockRequestBuilder, name: str) -> str:
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    allowed = _SPACES.sub(" ", _FORBIDDEN_IN_NAMES.sub(" ", stem)).strip()[:_MAX_NAME] or "Document"
    names, unique = builder.document_names, allowed
    while unique in names:
        names[allowed] += 1
        unique = f"{allowed} {names[allowed]}"
    names[unique] = 1
    return unique


def _format_of(media_type: str, name: str) -> str | None:
    """Return the format for a media type, or for the file name's extension if the type is vague or unknown."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type in _FORMAT_BY_TYPE and media_type not in _VAGUE_TYPES:
        return _FORMAT_BY_TYPE[media_type]
    extension = name.rpartition(".")[2].lower()
    extension = _FORMAT_BY_EXTENSION.get(extension, extension)
    return extension if extension in _KIND_BY_FORMAT else _FORMAT_BY_TYPE.get(media_type)


def _media_source(
    builder: BedrockRequestBuilder, media_format: str | None, source: JsonObject, path: str, *, is_audio: bool = False
) -> BedrockMediaSource:
    if media_format is None:
        supported = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in _FORMATS_BY_KIND.items())
        text = f"{builder.model} on Bedrock does not support this media type. Supported: {supported}."
        raise InvalidRequest(text, param=path)
    return BedrockMediaSource("audio" if is_audio else _KIND_BY_FORMAT[media_format], media_format, source)
