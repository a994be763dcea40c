"""Google's grounding and citation metadata as OpenAI's annotations.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (2026-11): segments count in bytes of UTF-8,
annotations in characters.
"""

from collections.abc import Iterator

from tidegate.chat.completion import url_citation
from tidegate.json import Json, JsonObject


def annotations(text: str, grounding: Json, citation_metadata: Json) -> list[Json]:
    """Return an annotation for each passage and source. A source without a passage gets the indexes 0 and 0."""
    return [*_grounding_citations(text, grounding), *_recitation_citations(text, citation_metadata)]


def _grounding_citations(text: str, grounding: Json) -> Iterator[JsonObject]:
    if not isinstance(grounding, dict):
        return
    sources = [_source(chunk) for chunk in _as_list(grounding.get("groundingChunks"))]
    cited_sources: set[int] = set()
    for support in _as_list(grounding.get("groundingSupports")):
        match support:
            case {"segment": dict(segment), "groundingChunkIndices": list(indexes)}:
                start, end = _text_range(text, segment)
            case _:
                continue
        for index in indexes:
            source = sources[index] if isinstance(index, int) and 0 <= index < len(sources) else None
            if source is not None and isinstance(index, int):
                cited_sources.add(index)
                yield url_citation(*source, start, end)
    for index, source in enumerate(sources):
        if source is not None and index not in cited_sources:
            yield url_citation(*source)


def _source(chunk: Json) -> tuple[str, Json] | None:
    """Return the URL and the title of a source."""
    match chunk:
        case {"web": dict(site)} | {"maps": dict(site)} | {"retrievedContext": dict(site)} | {"image": dict(site)}:
            url = site.get("uri") or site.get("sourceUri")
            return (url, site.get("title")) if isinstance(url, str) else None
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
                yield url_citation(url, citation.get("title"), start, end)
            case _:
                pass


def _text_range(text: str, segment: JsonObject) -> tuple[int, int]:
    """Return the segment's start and end in `text`, in characters, or 0 and 0.

    The segment's text is more reliable than its indexes, which count within one part.
    """
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
