"""Content parts of the Responses API as parts of chat messages.

Source: https://platform.openai.com/docs/api-reference/responses/create (`input`, 2026-11).
"""

from tidegate.json import Json, JsonObject, encode

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_DETAILS = ("auto", "low", "high")
_FILE_FIELDS = ("file_id", "file_data", "filename")


def content_parts(content: Json, path: str, ignored: list[str]) -> list[Json]:
    """Return the parts of a text, or of a list. What no chat message can hold becomes text, and is reported."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts: list[Json] = []
    for number, part in enumerate(content if isinstance(content, list) else []):
        parts += _translate(part, f"{path}[{number}]", ignored)
    return parts


def _translate(part: Json, path: str, ignored: list[str]) -> list[Json]:
    marks = _cache_marks(part)
    match part:
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return [{**marks, "type": "text", "text": text}] if text else []
        case {"type": "refusal", "refusal": str(refusal)}:
            return [{"type": "refusal", "refusal": refusal}]
        case {"type": "input_image" | "computer_screenshot", "image_url": str(url)}:
            detail = part.get("detail")
            image: JsonObject = {"url": url, **({"detail": detail} if detail in _DETAILS else {})}
            return [{**marks, "type": "image_url", "image_url": image}]
        case {"type": "input_image" | "computer_screenshot", "file_id": str(file_id)}:
            return [{**marks, "type": "file", "file": {"file_id": file_id, "filename": "image.png"}}]
        case {"type": "input_file", "file_url": str(url)}:
            return [{**marks, "type": "document", "source": {"type": "url", "url": url}}]
        case {"type": "input_file"}:
            file: JsonObject = {name: part[name] for name in _FILE_FIELDS if isinstance(part.get(name), str)}
            return [{**marks, "type": "file", "file": file}]
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return [{"type": "input_audio", "input_audio": audio}]
        case {"type": "encrypted_content"}:
            ignored.append(path)
            return []
        case str(text):
            return [{"type": "text", "text": text}] if text else []
        case _:
            ignored.append(path)
            return [{"type": "text", "text": encode(part).decode()}]


def _cache_marks(part: Json) -> JsonObject:
    """Return the end of a cached prefix in the inner dialect's terms."""
    match part:
        case {"prompt_cache_breakpoint": {"mode": "explicit"} as mark}:
            long: JsonObject = {"ttl": "1h"} if mark.get("ttl") == "12h" else {}
            return {"cache_control": {"type": "ephemeral", **long}}
        case _:
            return {}
