"""Media as Converse takes them: bytes or a place in S3, and a format out of a short list.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026), and the documents'
rules of naming in …/API_runtime_DocumentBlock.html.
"""

import re

from msgspec import Struct

from tidegate.chat import media
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject
from tidegate.providers.bedrock.request_builder import Draft

_OFFICE = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
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
_VAGUE = frozenset({"text/plain"})
_KINDS = {
    "image": ("png", "jpeg", "gif", "webp"),
    "document": ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": ("mp3", "opus", "wav", "aac", "flac", "ogg", "m4a", "mka", "pcm"),
}
_EXTENSIONS = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp", "json": "txt", "text": "txt"}
_FORMATS = {form: kind for kind, forms in _KINDS.items() for form in forms}
_NOT_IN_NAMES = re.compile(r"[^\w\-()\[\] ]|_", re.ASCII)
_SPACES = re.compile(r"\s+")
_MAX_NAME = 180


class Medium(Struct, frozen=True):
    """`kind` is the block's name: image, document, video or audio."""

    kind: str
    form: str
    source: JsonObject


def read(draft: Draft, url: str, path: str, *, declared: str = "", name: str = "") -> Medium:
    """The medium behind base64, a data URI, an `s3://` address, or a URL that was fetched. Raises `InvalidRequest`."""
    if url.startswith("s3://"):
        form = _form("", url) or _form(declared, name)
        return _medium(draft, form, {"s3Location": {"uri": url}}, path)
    if url.startswith(("https://", "http://")):
        fetched = draft.call.media.get(url)
        if fetched is None:
            raise InvalidRequest("The URL was not fetched.", param=path)
        held = media.of_bytes(fetched.data, fetched.content_type)
        return _inline(draft, held, path, name or url.partition("?")[0])
    data = media.read(url, declared)
    if data is None:
        raise InvalidRequest("This is neither a URL nor base64, bare or in a data URI.", param=path)
    return _inline(draft, data, path, name)


def _inline(draft: Draft, data: media.Data, path: str, name: str) -> Medium:
    if not data.base64:
        raise InvalidRequest("The medium is empty.", param=path)
    audio = data.media_type.startswith("audio/")
    return _medium(draft, _form(data.media_type, name), {"bytes": data.base64}, path, audio=audio)


def block(draft: Draft, medium: Medium, name: str = "") -> JsonObject:
    """The medium's block; a document's has a name that Converse accepts and no other document of the request has."""
    made: JsonObject = {"format": medium.form, "source": medium.source}
    if medium.kind == "document":
        made["name"] = _unique(draft, name)
    return {medium.kind: made}


def _unique(draft: Draft, name: str) -> str:
    bare = name.rpartition("/")[2].rpartition(".")[0] or name
    clean = _SPACES.sub(" ", _NOT_IN_NAMES.sub(" ", bare)).strip()[:_MAX_NAME] or "Document"
    unique, count = clean, 1
    while unique in draft.documents:
        count += 1
        unique = f"{clean} {count}"
    draft.documents.append(unique)
    return unique


def _form(media_type: str, name: str) -> str | None:
    """The format of a media type; of a name's extension, where the type says nothing certain."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type in _TYPES and media_type not in _VAGUE:
        return _TYPES[media_type]
    extension = name.rpartition(".")[2].lower()
    extension = _EXTENSIONS.get(extension, extension)
    return extension if extension in _FORMATS else _TYPES.get(media_type)


def _medium(draft: Draft, form: str | None, source: JsonObject, path: str, *, audio: bool = False) -> Medium:
    if form is None:
        known = "; ".join(f"{kind}: {', '.join(forms)}" for kind, forms in _KINDS.items())
        raise InvalidRequest(f"{draft.model} takes no media of this type. Bedrock knows {known}.", param=path)
    return Medium("audio" if audio else _FORMATS[form], form, source)
