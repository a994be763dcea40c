"""Parts of a message as Anthropic's content blocks.

Sources: https://platform.claude.com/docs/en/build-with-claude/vision, …/pdf-support, …/files, …/prompt-caching.
"""

from collections.abc import Iterator, Mapping

from tidegate.chat.media import MediaContent, content_from_bytes, media_type_of_name, parse_media
from tidegate.chat.request import ChatCall
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder

FILES_BETA = "files-api-2025-04-14"
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF_TYPE = "application/pdf"


def content_blocks(builder: AnthropicRequestBuilder, content: Json, path: str) -> list[JsonObject]:
    """Return a message's content as blocks. Blank texts are left out, because Anthropic refuses them."""
    match content:
        case str(text):
            return [{"type": "text", "text": text}] if text.strip() else []
        case list(parts):
            maybe_blocks = (_content_block(builder, part, f"{path}.content[{i}]") for i, part in enumerate(parts))
            return [block for block in maybe_blocks if block is not None]
        case _:
            return []


def with_cache_control(blocks: list[JsonObject], holder: JsonObject) -> list[JsonObject]:
    """Return the blocks with the `cache_control` of their message, if it has one, on the last block."""
    cache_control = holder.get("cache_control")
    if not blocks or not isinstance(cache_control, dict):
        return blocks
    return [*blocks[:-1], {**blocks[-1], "cache_control": cache_control}]


def http_image_urls(call: ChatCall) -> Mapping[str, str]:
    """Return the `http:` URLs of images by their paths. The gateway fetches them: Anthropic fetches only `https:`."""
    return {path: url for path, url in _image_urls(call.request.body.get("messages")) if url.startswith("http:")}


def _image_urls(messages: Json) -> Iterator[tuple[str, str]]:
    for i, message in enumerate(messages if isinstance(messages, list) else []):
        match message:
            case {"content": list(parts)}:
                for j, part in enumerate(parts):
                    match part:
                        case {"type": "image_url", "image_url": {"url": str(url)}}:
                            yield f"messages[{i}].content[{j}].image_url.url", url
                        case _:
                            pass
            case _:
                pass


def _content_block(builder: AnthropicRequestBuilder, part: Json, path: str) -> JsonObject | None:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            block = _text_block(text)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            if image.get("detail") not in (None, "auto"):
                builder.ignored.append(f"{path}.image_url.detail")
            block = _media_block(builder, url, path)
        case {"type": "file", "file": dict(file)}:
            block = _file_block(builder, file, path)
        case {"type": "document", "source": dict(source)}:
            _add_files_beta(builder, source)
            return {name: value for name, value in part.items() if value is not None}
        case {"type": str(kind)}:
            raise InvalidRequest(f"{builder.model} does not accept content parts of type {kind!r}.", param=path)
        case _:
            raise InvalidRequest("A content part must be an object with a type.", param=path)
    cache_control = part.get("cache_control")
    if block is not None and isinstance(cache_control, dict):
        block["cache_control"] = cache_control
    return block


def _text_block(text: str) -> JsonObject | None:
    return {"type": "text", "text": text} if text.strip() else None


def _media_block(builder: AnthropicRequestBuilder, url: str, path: str, declared_type: str = "") -> JsonObject:
    """Return the block for an image or a document, given as a URL, a data URI or base64."""
    fetched = builder.call.media.get(url)
    if fetched is not None:
        return _inline_block(builder, content_from_bytes(fetched.data, fetched.content_type), path)
    if url.startswith(("https:", "http:")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    data = parse_media(url, declared_type)
    if data is None:
        raise InvalidRequest("The media must be a URL, a data URI or base64.", param=path)
    return _inline_block(builder, data, path)


def _inline_block(builder: AnthropicRequestBuilder, data: MediaContent, path: str) -> JsonObject:
    if data.media_type in _IMAGE_TYPES:
        return {"type": "image", "source": {"type": "base64", "media_type": data.media_type, "data": data.base64}}
    if data.media_type == _PDF_TYPE:
        return {"type": "document", "source": {"type": "base64", "media_type": _PDF_TYPE, "data": data.base64}}
    if data.media_type.startswith("text/") or data.media_type in ("application/json", "application/xml"):
        try:
            text = data.text()
        except ValueError:
            raise InvalidRequest("The text file is not valid UTF-8 in base64.", param=path) from None
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    kind = data.media_type or "an unknown type"
    text = f"{builder.model} accepts JPEG, PNG, GIF and WebP images, PDF and text documents, not {kind}."
    raise InvalidRequest(text, param=path)


def _file_block(builder: AnthropicRequestBuilder, file: JsonObject, path: str) -> JsonObject:
    filename = file.get("filename")
    title = filename if isinstance(filename, str) else ""
    match file:
        case {"file_id": str(url)} | {"file_data": str(url)} if url.startswith(("https:", "http:")):
            block: JsonObject = {"type": "document", "source": {"type": "url", "url": url}}
        case {"file_data": str(data)} if data:
            block = _media_block(builder, data, path, media_type_of_name(title) or "")
        case {"file_id": str(file_id)} if file_id:
            kind = "image" if media_type_of_name(title) in _IMAGE_TYPES else "document"
            block = {"type": kind, "source": {"type": "file", "file_id": file_id}}
            builder.betas.append(FILES_BETA)
        case _:
            raise InvalidRequest("A file must have `file_data` or `file_id`.", param=f"{path}.file")
    if title and block["type"] == "document":
        block["title"] = title
    return block


def _add_files_beta(builder: AnthropicRequestBuilder, source: JsonObject) -> None:
    if source.get("type") == "file":
        builder.betas.append(FILES_BETA)
