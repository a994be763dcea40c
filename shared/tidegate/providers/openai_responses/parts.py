"""Content parts of chat completions as parts of input items.

Source: https://platform.openai.com/docs/api-reference/responses/create (`input`, 2026-11). It takes no sound.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

_FILE_FIELDS = ("filename", "file_data", "file_id")


def translate_content(content: Json, path: str) -> Json:
    """Return text as it is, and parts as input parts. Raises `InvalidRequest` for a part that is not supported."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return [_translate_part(part, f"{path}.content[{i}]") for i, part in enumerate(content)]


def _translate_part(part: Json, path: str) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return {"type": "input_image", "image_url": url, "detail": image.get("detail") or "auto"}
        case {"type": "file", "file": dict(file)}:
            fields = {name: file[name] for name in _FILE_FIELDS if file.get(name) is not None}
            return {"type": "input_file", **fields}
        case {"type": str(part_type)}:
            message = f"OpenAI's Responses API, which this call needs, takes no content parts of type {part_type!r}."
            raise InvalidRequest(message, param=path)
        case _:
            raise InvalidRequest("A content part must be an object with a `type`.", param=path)


def joined_text(content: Json) -> str:
    """Return the text of an assistant's content."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                texts.append(text)
            case _:
                pass
    return "".join(texts)
