"""Content blocks of users and of tools as parts of chat messages."""

from tidegate.json import Json, JsonObject, encode

_ERROR = "Error: "


def listed(content: Json) -> list[Json]:
    """Return a turn's content as blocks."""
    match content:
        case str(text):
            return [{"type": "text", "text": text}]
        case list(items):
            return items
        case _:
            return []


def cache_control(block: Json) -> JsonObject:
    """Return the mark of a cached prefix as a field, if the block has one."""
    mark = block.get("cache_control") if isinstance(block, dict) else None
    return {"cache_control": mark} if isinstance(mark, dict) else {}


def user_parts(block: Json, path: str, ignored: list[str]) -> list[Json]:
    """Return the parts for one block. What no chat message can hold becomes text, and its path is reported."""
    marks = cache_control(block)
    match block:
        case {"type": "text", "text": str(text)}:
            return [{**marks, "type": "text", "text": text}] if text else []
        case {"type": "text"}:  # some clients leave out an empty text
            return []
        case {"type": "image", "source": dict(source)}:
            part = _image_part(source)
            return [unknown(block, path, ignored) if part is None else {**marks, **part}]
        case {"type": "document", "source": dict(source)}:
            return [{**marks, **_document_part(block, source, path, ignored)}]
        case {"type": "search_result", "content": list(content)}:
            return [{**marks, "type": "text", "text": _search_result(block, content)}]
        case {"type": "tool_reference", "tool_name": str(name)}:
            return [{**marks, "type": "text", "text": f"The tool {name} is available."}]
        case _:
            return [unknown(block, path, ignored)]


def result_content(content: Json, path: str, ignored: list[str]) -> Json:
    """Return the content of a tool's result: its text, or parts if it has others."""
    if content is None or isinstance(content, str):
        return content or ""
    parts: list[Json] = []
    for number, block in enumerate(listed(content)):
        parts += user_parts(block, f"{path}[{number}]", ignored)
    texts = [part["text"] for part in parts if isinstance(part, dict) and part.keys() == {"type", "text"}]
    return "\n".join(map(str, texts)) if len(texts) == len(parts) else parts


def as_error(content: Json) -> Json:
    """Return the content of a failed tool's result: chat messages have no field that says so."""
    match content:
        case str(text):
            return text if text.lower().startswith("error") else _ERROR + text
        case list(parts):
            return [{"type": "text", "text": _ERROR.strip()}, *parts]
        case _:
            return content


def unknown(block: Json, path: str, ignored: list[str]) -> Json:
    """Return a block of an unknown type as text, and report its path."""
    ignored.append(path)
    return {"type": "text", "text": encode(block).decode()}


def _image_part(source: JsonObject) -> JsonObject | None:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
        case {"type": "url", "url": str(url)}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "file", "file_id": str(file_id)}:
            return {"type": "file", "file": {"file_id": file_id, "filename": "image.png"}}
        case _:
            return None


def _document_part(block: JsonObject, source: JsonObject, path: str, ignored: list[str]) -> JsonObject:
    """Return the document: chat messages take Anthropic's format. A list of texts becomes one text.

    Other blocks in such a list are left out, and their paths reported.
    """
    match source:
        case {"type": "content", "content": str() | list() as content}:
            texts: list[str] = []
            for number, each in enumerate(listed(content)):
                if isinstance(each, dict) and isinstance(each.get("text"), str):
                    texts.append(str(each["text"]))
                else:
                    ignored.append(f"{path}.source.content[{number}]")
            source = {"type": "text", "media_type": "text/plain", "data": "\n\n".join(texts)}
        case _:
            pass
    named = {name: block[name] for name in ("title", "context", "citations") if block.get(name) is not None}
    return {"type": "document", "source": source, **named}


def _search_result(block: JsonObject, content: list[Json]) -> str:
    head = [str(block[name]) for name in ("title", "source") if isinstance(block.get(name), str)]
    texts = [str(each["text"]) for each in content if isinstance(each, dict) and isinstance(each.get("text"), str)]
    return "\n".join([*head, *texts])
