"""Answers requests on texts: vectors, ranks and verdicts, in the dialects that the row of the demo provider has.

A vector is made of the words of its text, so that texts which share words are near each other.
"""

from collections.abc import Callable
from hashlib import blake2b
from math import sqrt

from tidegate.json import Json, JsonObject
from tidegate.local.demo.answers import split_words

DIMENSIONS = 8
_HARMFUL = "harm"


def embeddings(request: JsonObject) -> Json:
    """Return a vector for each of the inputs."""
    inputs = request.get("input")
    texts = [str(each) for each in inputs] if isinstance(inputs, list) else [str(inputs)]
    data: list[Json] = [
        {"object": "embedding", "index": index, "embedding": [*_vector(text)]} for index, text in enumerate(texts)
    ]
    return {"object": "list", "data": data, "usage": _usage(texts)}


def rerank(request: JsonObject) -> Json:
    """Return the documents that share most words with the query."""
    documents = request.get("documents")
    texts = [str(each) for each in documents] if isinstance(documents, list) else []
    query = set(_words(str(request.get("query"))))
    scores = [len(query & set(_words(text))) / max(1, len(query)) for text in texts]
    ranked = sorted(range(len(texts)), key=lambda index: -scores[index])
    results: list[Json] = [{"index": index, "relevance_score": scores[index]} for index in ranked]
    top_n = request.get("top_n")
    return {"results": results[: top_n if isinstance(top_n, int) else None], "usage": _usage([*texts, *query])}


def moderations(request: JsonObject) -> Json:
    """Return a verdict for each of the inputs: a text with the word "harm" is flagged."""
    inputs = request.get("input")
    texts = [str(each) for each in inputs] if isinstance(inputs, list) else [str(inputs)]
    results: list[Json] = []
    for text in texts:
        is_harmful = _HARMFUL in _words(text)
        results.append(
            {
                "flagged": is_harmful,
                "categories": {"violence": is_harmful},
                "category_scores": {"violence": 1.0 if is_harmful else 0.0},
            }
        )
    return {"results": results}


ANSWERS: dict[str, dict[str, Callable[[JsonObject], Json]]] = {
    "/embeddings": {"embed": embeddings},
    "/rerank": {"rerank": rerank},
    "/moderations": {"moderation": moderations},
}
"""By the path of the API: what answers, by model."""


def _words(text: str) -> list[str]:
    return [word.strip().lower().strip(".,!?") for word in split_words(text)]


def _vector(text: str) -> list[float]:
    sums = [0.0] * DIMENSIONS
    for word in _words(text):
        for place, byte in enumerate(blake2b(word.encode(), digest_size=DIMENSIONS).digest()):
            sums[place] += byte - 127.5
    length = sqrt(sum(value * value for value in sums)) or 1.0
    return [round(value / length, 6) for value in sums]


def _usage(texts: list[str]) -> JsonObject:
    tokens = sum(len(split_words(text)) for text in texts)
    return {"prompt_tokens": tokens, "total_tokens": tokens}
