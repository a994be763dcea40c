"""Where an answer comes from: Google's grounding and citations as OpenAI's annotations.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (2026-11): a segment counts in bytes of UTF-8, an
annotation in characters.
"""

from collections.abc import Iterator

from tidegate.json import Json, JsonObject


def annotations(text: str, grounding: Json, cited: Json) -> list[Json]:
    """One annotation for each place and source; a source that supports no place stands at the beginning."""
    found: list[JsonObject] = [*_grounded(text, grounding), *_cited(text, cited)]
    return [{"type": "url_citation", "url_citation": citation} for citation in found]


def _grounded(text: str, grounding: Json) -> Iterator[JsonObject]:
    if not isinstance(grounding, dict):
        return
    sources = [_source(chunk) for chunk in _list(grounding.get("groundingChunks"))]
    used: set[int] = set()
    for support in _list(grounding.get("groundingSupports")):
        match support:
            case {"segment": dict(segment), "groundingChunkIndices": list(places)}:
                start, end = _place(text, segment)
            case _:
                continue
        for place in places:
            source = sources[place] if isinstance(place, int) and 0 <= place < len(sources) else None
            if source is not None and isinstance(place, int):
                used.add(place)
                yield {**source, "start_index": start, "end_index": end}
    for place, source in enumerate(sources):
        if source is not None and place not in used:
            yield {**source, "start_index": 0, "end_index": 0}


def _source(chunk: Json) -> JsonObject | None:
    match chunk:
        case {"web": dict(found)} | {"maps": dict(found)} | {"retrievedContext": dict(found)} | {"image": dict(found)}:
            url = found.get("uri") or found.get("sourceUri")
            title = found.get("title")
            return {"url": url, "title": title if isinstance(title, str) else ""} if isinstance(url, str) else None
        case _:
            return None


def _cited(text: str, cited: Json) -> Iterator[JsonObject]:
    match cited:
        case {"citations": list(found)} | {"citationSources": list(found)}:
            pass
        case _:
            return
    for one in found:
        match one:
            case {"uri": str(url)}:
                start, end = _place(text, one) if "endIndex" in one else (0, 0)
                title = one.get("title")
                yield {
                    "url": url,
                    "title": title if isinstance(title, str) else "",
                    "start_index": start,
                    "end_index": end,
                }
            case _:
                pass


def _place(text: str, segment: JsonObject) -> tuple[int, int]:
    """Where the segment stands in `text`. Its text is more reliable than its numbers, which count within one part."""
    start, end, words = segment.get("startIndex", 0), segment.get("endIndex", 0), segment.get("text")
    if not isinstance(start, int) or not isinstance(end, int):
        start, end = 0, 0
    whole = text.encode()
    before, inside = whole[:start].decode("utf-8", "ignore"), whole[start:end].decode("utf-8", "ignore")
    if isinstance(words, str) and words and inside != words:
        found = text.find(words)
        return (found, found + len(words)) if found >= 0 else (0, 0)
    return len(before), len(before) + len(inside)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
