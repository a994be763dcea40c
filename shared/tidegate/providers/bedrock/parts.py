"""Content parts as blocks of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026).
"""

from tidegate.chat.request import ChatRequest
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import media
from tidegate.providers.bedrock.request_builder import BedrockRequestBuilder


def content_blocks(builder: BedrockRequestBuilder, holder: JsonObject, path: str) -> list[JsonObject]:
    """Return the blocks of a message's content, with cache points where the caller wrote `cache_control`."""
    converse_blocks: list[JsonObject] = []
    match holder.get("content"):
        case str(text):
            converse_blocks.append({"text": text})
        case list(parts):
            for j, part in enumerate(parts):
                if isinstance(part, dict):
                    converse_blocks.append(_content_block(builder, part, f"{path}.content[{j}]"))
                    converse_blocks += cache_point(builder, part, f"{path}.content[{j}]")
        case _:
            pass
    return [*converse_blocks, *cache_point(builder, holder, path)]


def cache_point(builder: BedrockRequestBuilder, holder: JsonObject, path: str) -> list[JsonObject]:
    """Return Anthropic's `cache_control` as a cache point, which follows the cached block in Converse."""
    match holder.get("cache_control"):
        case None:
            return []
        case {"type": "ephemeral", "ttl": "5m" | "1h" as ttl} if builder.capabilities.prompt_caching:
            return [{"cachePoint": {"type": "default", "ttl": ttl}}]
        case {"type": "ephemeral"} if builder.capabilities.prompt_caching:
            return [{"cachePoint": {"type": "default"}}]
        case _:
            builder.ignored.append(f"{path}.cache_control")
            return []


def urls_to_fetch(request: ChatRequest) -> dict[str, str]:
    """Return the URLs that the gateway must fetch, by their paths: Converse accepts only bytes and S3 URLs."""
    urls: dict[str, str] = {}
    messages = request.body.get("messages")
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            source_path, url = _path_and_url(part)
            if url.startswith(("https://", "http://")):
                urls[f"messages[{i}].content[{j}].{source_path}"] = url
    return urls


def _path_and_url(part: Json) -> tuple[str, str]:
    """Return the path and the URL of a part's source, both empty if it has none."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return "image_url.url", url
        case {"type": "video_url", "video_url": {"url": str(url)}}:
            return "video_url.url", url
        case {"type": "file", "file": {"file_data": str(url)}}:
            return "file.file_data", url
        case {"type": "document", "source": {"type": "url", "url": str(url)}}:
            return "source.url", url
        case _:
            return "", ""


def _content_block(builder: BedrockRequestBuilder, part: JsonObject, path: str) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return {"text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            if image.get("detail") not in (None, "auto"):
                builder.ignored.append(f"{path}.image_url.detail")
            return media.media_block(builder, media.read_media(builder, url, path))
        case {"type": "video_url", "video_url": {"url": str(url)}}:
            return media.media_block(builder, media.read_media(builder, url, path))
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(audio_format)}}:
            media_source = media.read_media(builder, data, path, declared_type=f"audio/{audio_format}")
            return media.media_block(builder, media_source)
        case {"type": "file", "file": dict(file)}:
            return _file_block(builder, file, path)
        case {"type": "document", "source": dict(source)}:
            return _document_block(builder, part, source, path)
        case _:
            kind = part.get("type")
            raise InvalidRequest(f"{builder.model} does not accept content parts of type {kind!r}.", param=path)


def _file_block(builder: BedrockRequestBuilder, file: JsonObject, path: str) -> JsonObject:
    name = file.get("filename")
    name = name if isinstance(name, str) else ""
    match file:
        case {"file_data": str(data)}:
            media_source = media.read_media(builder, data, path, name=name)
        case {"file_id": str(s3_url)} if s3_url.startswith("s3://"):
            media_source = media.read_media(builder, s3_url, path, name=name)
        case _:
            raise InvalidRequest("Bedrock does not store files: send `file_data` or an s3:// URL.", param=path)
    return media.media_block(builder, media_source, name)


def _document_block(builder: BedrockRequestBuilder, part: JsonObject, source: JsonObject, path: str) -> JsonObject:
    """Return the block for a document in Anthropic's format; Converse supports its title, context and citations."""
    title = part.get("title")
    title = title if isinstance(title, str) else ""
    match source:
        case {"type": "text", "data": str(text)}:
            media_source = media.BedrockMediaSource("document", "txt", {"text": text})
        case {"type": "content", "content": list(inner)}:
            texts: list[Json] = [{"text": item["text"]} for item in inner if isinstance(item, dict) and "text" in item]
            media_source = media.BedrockMediaSource("document", "txt", {"content": texts})
        case {"type": "base64", "data": str(data), "media_type": str(declared_type)}:
            media_source = media.read_media(builder, data, path, declared_type=declared_type, name=title)
        case {"type": "url", "url": str(url)}:
            media_source = media.read_media(builder, url, path, name=title)
        case _:
            raise InvalidRequest("The source must have type base64, url, text or content.", param=f"{path}.source")
    block = media.media_block(builder, media_source, title)
    document = block.get("document")
    if isinstance(document, dict):
        document.update({name: part[name] for name in ("context", "citations") if part.get(name) is not None})
    return block
