"""Annotations of a text, which name a web page, as Anthropic's citations of its blocks.

Citations of documents, for which chat completions have no field, stay in Anthropic's format in `citations`.

Source: https://platform.claude.com/docs/en/build-with-claude/citations (2026-11).
"""

from typing import cast

from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details


def cited_blocks(text: str, annotations: list[Json], citations: list[Json]) -> list[JsonObject]:
    """Return a text as blocks, divided where annotations begin and end; as one block if they have no such order."""
    listed = [citation for each in annotations if (citation := web_citation(each, text)) is not None]
    ranges = _ordered_ranges(annotations, len(text))
    if citations or ranges is None or len(ranges) != len(listed):
        cited: list[Json] = [*listed, *citations]
        block: JsonObject = {"type": "text", "text": text}
        return [{**block, "citations": cited} if cited else block] if text else []
    blocks: list[JsonObject] = []
    position = 0
    for start, end in dict.fromkeys(ranges):
        if start > position:
            blocks.append({"type": "text", "text": text[position:start]})
        sources: list[Json] = [each for each, place in zip(listed, ranges, strict=True) if place == (start, end)]
        blocks.append({"type": "text", "text": text[start:end], "citations": sources})
        position = end
    if position < len(text):
        blocks.append({"type": "text", "text": text[position:]})
    return blocks


def web_citation(annotation: Json, text: str = "") -> JsonObject | None:
    """Return the citation for an annotation that names a web page; None for others."""
    match annotation:
        case {"type": "url_citation", "url_citation": {"url": str(url)} as cited}:
            start, end = _range(annotation, len(text)) or (0, 0)
            content = cited.get("content")
            return {
                "type": "web_search_result_location",
                "url": url,
                "title": cited.get("title") or None,
                "cited_text": content if isinstance(content, str) else text[start:end],
                "encrypted_index": sealed_details.PREFIX,
            }
        case _:
            return None


def document_citations(citations: object) -> list[Json]:
    """Return what is in Anthropic's format, such as a `page_location`. Other providers have formats of their own."""
    return [each for each in cast("list[Json]", citations) if _is_location(each)] if isinstance(citations, list) else []


def _is_location(citation: Json) -> bool:
    match citation:
        case {"type": str(kind)}:
            return kind.endswith("_location")
        case _:
            return False


def _range(annotation: Json, length: int) -> tuple[int, int] | None:
    match annotation:
        case {"url_citation": {"start_index": int(start), "end_index": int(end)}} if 0 <= start < end <= length:
            return start, end
        case _:
            return None


def _ordered_ranges(annotations: list[Json], length: int) -> list[tuple[int, int]] | None:
    """Return where each annotation begins and ends; None if one is unknown, or begins within another one."""
    ranges: list[tuple[int, int]] = []
    for annotation in annotations:
        place = _range(annotation, length)
        if place is None or (ranges and place[0] < ranges[-1][1] and place != ranges[-1]):
            return None
        ranges.append(place)
    return ranges
