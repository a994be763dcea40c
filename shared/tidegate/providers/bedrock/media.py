"""Media as Converse takes them: bytes or a place in S3, and a format out of a short list.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026), and the documents'
rules of naming in …/API_runtime_DocumentBlock.html.
"""

import re

from msgspec import Struct

from tidegate.chat import media
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject
from tidegate.providers.bedrock.request_builder import BedrockRequestBuilder

_OFFICE_PREFIX = "application/vnd.openxmlformats-officedocument."
_FORMAT_BY_TYPE = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
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
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
}
_VAGUE_TYPES = frozenset({"text/plain"})
_FORMATS_BY_KIND = {
    "image": ("png", "jpeg", "gif", "webp"),
    "document": ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": ("mp3", "opus", "wav", "aac", "flac", "ogg", "m4a", "mka", "pcm"),
}
_FORMAT_BY_EXTENSION = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp", "json": "txt", "text": "txt"}
_KIND_BY_FORMAT = {form: kind for kind, forms in _FORMATS_BY_KIND.items() for form in forms}
_FORBIDDEN_IN_NAMES = re.compile(r"[^\w\-()\[\] ]|_", re.ASCII)
_SPACES = re.compile(r"\s+")
_MAX_NAME = 180


class MediaSource(Struct, frozen=True):
    """`kind` is the block's name: image, document, video or audio."""

    kind: str
    format: str
    source: JsonObject


def read_media(
    draft: BedrockRequestBuilder, url: str, path: str, *, declared_type: str = "", name: str = ""
) -> MediaSource:
    """The medium behind base64, a data URI, an `s3://` address, or a URL that was fetched. Raises `InvalidRequest`."""
    if url.startswith("s3://"):
        media_format = _format_of("", url) or _format_of(declared_type, name)
        return _media_source(draft, media_format, {"s3Location": {"uri": url}}, path)
    if url.startswith(("https://", "http://")):
        fetched = draft.call.media.get(url)
        if fetched is None:
            raise InvalidRequest("The URL was not fetched.", param=path)
        data = media.content_from_bytes(fetched.data, fetched.content_type)
        return _inline_media(draft, data, path, name or url.partition("?")[0])
    data = media.parse_media(url, declared_type)
    if data is None:
        raise InvalidRequest("This is neither a URL nor base64, bare or in a data URI.", param=path)
    return _inline_media(draft, data, path, name)


def _inline_media(draft: BedrockRequestBuilder, data: media.MediaContent, path: str, name: str) -> MediaSource:
    if not data.base64:
        raise InvalidRequest("The medium is empty.", param=path)
    is_audio = data.media_type.startswith("audio/")
    return _media_source(draft, _format_of(data.media_type, name), {"bytes": data.base64}, path, is_audio=is_audio)


def media_block(draft: BedrockRequestBuilder, media_source: MediaSource, name: str = "") -> JsonObject:
    """The medium's block; a document's has a name that Converse accepts and no other document of the request has."""
    fields: JsonObject = {"format": media_source.format, "source": media_source.source}
    if media_source.kind == "document":
        fields["name"] = _unique_document_name(draft, name)
    return {media_source.kind: fields}


def _unique_document_name(draft: BedrockRequestBuilder, name: str) -> str:
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    allowed = _SPACES.sub(" ", _FORBIDDEN_IN_NAMES.sub(" ", stem)).strip()[:_MAX_NAME] or "Document"
    unique, count = allowed, 1
    while unique in draft.document_names:
        count += 1
        unique = f"{allowed} {count}"
    draft.document_names.append(unique)
    return unique


def _format_of(media_type: str, name: str) -> str | None:
    """The format of a media type; of a name's extension, where the type says nothing certain."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type in _FORMAT_BY_TYPE and media_type not in _VAGUE_TYPES:
        return _FORMAT_BY_TYPE[media_type]
    extension = name.rpartition(".")[2].lower()
    extension = _FORMAT_BY_EXTENSION.get(extension, extension)
    return extension if extension in _KIND_BY_FORMAT else _FORMAT_BY_TYPE.get(media_type)


def _media_source(
    draft: BedrockRequestBuilder, media_format: str | None, source: JsonObject, path: str, *, is_audio: bool = False
) -> MediaSource:
    if media_format is None:
        supported = "; ".join(f"{kind}: {', '.join(forms)}" for kind, forms in _FORMATS_BY_KIND.items())
        raise InvalidRequest(f"{draft.model} takes no media of this type. Bedrock knows {supported}.", param=path)
    return MediaSource("audio" if is_audio else _KIND_BY_FORMAT[media_format], media_format, source)
