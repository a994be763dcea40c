"""Where an answer comes from: Google's grounding and citations as OpenAI's annotations.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (2026-11): a segment counts in bytes of UTF-8, an
annotation in characters.
"""

from collections.abc import Iterator

from tidegate.json import Json, JsonObject


def annotations(text: str, grounding: Json, citation_metadata: Json) -> list[Json]:
    """One annotation for each place and source; a source that supports no place stands at the beginning."""
    url_citations: list[JsonObject] = [
        *_grounding_citations(text, grounding),
        *_recitation_citations(text, citation_metadata),
    ]
    return [{"type": "url_citation", "url_citation": citation} for citation in url_citations]


def _grounding_citations(text: str, grounding: Json) -> Iterator[JsonObject]:
    if not isinstance(grounding, dict):
        return
    sources = [_source(chunk) for chunk in _as_list(grounding.get("groundingChunks"))]
    cited_sources: set[int] = set()
    for support in _as_list(grounding.get("groundingSupports")):
        match support:
            case {"segment": dict(segment), "groundingChunkIndices": list(source_indexes)}:
                start, end = _text_range(text, segment)
            case _:
                continue
        for source_index in source_indexes:
            source = (
                sources[source_index] if isinstance(source_index, int) and 0 <= source_index < len(sources) else None
            )
            if source is not None and isinstance(source_index, int):
                cited_sources.add(source_index)
                yield {**source, "start_index": start, "end_index": end}
    for source_index, source in enumerate(sources):
        if source is not None and source_index not in cited_sources:
            yield {**source, "start_index": 0, "end_index": 0}


def _source(chunk: Json) -> JsonObject | None:
    match chunk:
        case (
            {"web": dict(fields)}
            | {"maps": dict(fields)}
            | {"retrievedContext": dict(fields)}
            | {"image": dict(fields)}
        ):
            url = fields.get("uri") or fields.get("sourceUri")
            title = fields.get("title")
            return {"url": url, "title": title if isinstance(title, str) else ""} if isinstance(url, str) else None
        case _:
            return None


def _recitation_citations(text: str, citation_metadata: Json) -> Iterator[JsonObject]:
    match citation_metadata:
        case {"citations": list(citations)} | {"citationSources": list(citations)}:
            pass
        case _:
            return
    for citation in citations:
        match citation:
            case {"uri": str(url)}:
                start, end = _text_range(text, citation) if "endIndex" in citation else (0, 0)
                title = citation.get("title")
                yield {
                    "url": url,
                    "title": title if isinstance(title, str) else "",
                    "start_index": start,
                    "end_index": end,
                }
            case _:
                pass


def _text_range(text: str, segment: JsonObject) -> tuple[int, int]:
    """Where the segment stands in `text`. Its text is more reliable than its numbers, which count within one part."""
    start, end, segment_text = segment.get("startIndex", 0), segment.get("endIndex", 0), segment.get("text")
    if not isinstance(start, int) or not isinstance(end, int):
        start, end = 0, 0
    encoded = text.encode()
    before, inside = encoded[:start].decode("utf-8", "ignore"), encoded[start:end].decode("utf-8", "ignore")
    if isinstance(segment_text, str) and segment_text and inside != segment_text:
        position = text.find(segment_text)
        return (position, position + len(segment_text)) if position >= 0 else (0, 0)
    return len(before), len(before) + len(inside)


def _as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
