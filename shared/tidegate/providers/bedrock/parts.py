"""Content parts as blocks of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026).
"""

from tidegate.chat.request import ChatRequest
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import media
from tidegate.providers.bedrock.request_builder import Draft


def blocks(draft: Draft, holder: JsonObject, path: str) -> list[JsonObject]:
    """The blocks of a message's content, each followed by its cache point, if its sender wants one there."""
    made: list[JsonObject] = []
    match holder.get("content"):
        case str(text):
            made.append({"text": text})
        case list(parts):
            for j, part in enumerate(parts):
                if isinstance(part, dict):
                    made.append(_block(draft, part, f"{path}.content[{j}]"))
                    made += cache_point(draft, part, f"{path}.content[{j}]")
        case _:
            pass
    return [*made, *cache_point(draft, holder, path)]


def cache_point(draft: Draft, holder: JsonObject, path: str) -> list[JsonObject]:
    """Anthropic's `cache_control` as the mark that Converse puts behind what is kept."""
    match holder.get("cache_control"):
        case None:
            return []
        case {"type": "ephemeral", "ttl": "5m" | "1h" as ttl} if draft.family.caching:
            return [{"cachePoint": {"type": "default", "ttl": ttl}}]
        case {"type": "ephemeral"} if draft.family.caching:
            return [{"cachePoint": {"type": "default"}}]
        case _:
            draft.ignored.append(f"{path}.cache_control")
            return []


def urls(request: ChatRequest) -> dict[str, str]:
    """The URLs whose bytes Converse wants, by the paths of their parts."""
    found: dict[str, str] = {}
    messages = request.body.get("messages")
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            place, url = _source(part)
            if url.startswith(("https://", "http://")):
                found[f"messages[{i}].content[{j}].{place}"] = url
    return found


def _source(part: Json) -> tuple[str, str]:
    """Where in the part its source stands, and the source."""
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


def _block(draft: Draft, part: JsonObject, path: str) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return {"text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            if image.get("detail") not in (None, "auto"):
                draft.ignored.append(f"{path}.image_url.detail")
            return media.block(draft, media.read(draft, url, path))
        case {"type": "video_url", "video_url": {"url": str(url)}}:
            return media.block(draft, media.read(draft, url, path))
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            return media.block(draft, media.read(draft, data, path, declared=f"audio/{form}"))
        case {"type": "file", "file": dict(file)}:
            return _file(draft, file, path)
        case {"type": "document", "source": dict(source)}:
            return _document(draft, part, source, path)
        case _:
            raise InvalidRequest(f"{draft.model} takes no content parts of type {part.get('type')!r}.", param=path)


def _file(draft: Draft, file: JsonObject, path: str) -> JsonObject:
    name = file.get("filename")
    name = name if isinstance(name, str) else ""
    match file:
        case {"file_data": str(data)}:
            medium = media.read(draft, data, path, name=name)
        case {"file_id": str(place)} if place.startswith("s3://"):
            medium = media.read(draft, place, path, name=name)
        case _:
            raise InvalidRequest("Bedrock keeps no files: send `file_data`, or an s3:// address.", param=path)
    return media.block(draft, medium, name)


def _document(draft: Draft, part: JsonObject, source: JsonObject, path: str) -> JsonObject:
    """A document in Anthropic's terms, whose title, context and citations Converse knows too."""
    title = part.get("title")
    title = title if isinstance(title, str) else ""
    match source:
        case {"type": "text", "data": str(text)}:
            medium = media.Medium("document", "txt", {"text": text})
        case {"type": "content", "content": list(inner)}:
            texts: list[Json] = [{"text": one["text"]} for one in inner if isinstance(one, dict) and "text" in one]
            medium = media.Medium("document", "txt", {"content": texts})
        case {"type": "base64", "data": str(data), "media_type": str(declared)}:
            medium = media.read(draft, data, path, declared=declared, name=title)
        case {"type": "url", "url": str(url)}:
            medium = media.read(draft, url, path, name=title)
        case _:
            raise InvalidRequest("The source must be base64, url, text or content.", param=f"{path}.source")
    block = media.block(draft, medium, title)
    inside = block.get("document")
    if isinstance(inside, dict):
        inside.update({name: part[name] for name in ("context", "citations") if part.get(name) is not None})
    return block
