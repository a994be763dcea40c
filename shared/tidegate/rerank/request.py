"""A request for a ranking: a query, and the documents to rank.

Sources, read in 2026-11: https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc (documents may be objects
with a `text`), https://docs.voyageai.com/reference/reranker-api (`top_k`, which is accepted as `top_n`).
"""

import math
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from tidegate.chat.text_bound import bound_text
from tidegate.domain.call import CallOf
from tidegate.domain.operation import Text
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject
from tidegate.texts.fields import TextsFields, convert
from tidegate.texts.request import TextsRequest

MAX_DOCUMENTS = 1_000
"""The most documents of one call: what Cohere and Voyage take."""

DOCUMENTS_PER_SEARCH, CHUNK_TOKENS, SMALLEST_CHUNK = 100, 500, 250
"""Cohere charges a search for each hundred documents; one with more than 500 tokens, its query included, counts as
several. Source: https://cohere.com/pricing (2026-11)."""

Count = Annotated[int, Meta(ge=1, le=MAX_DOCUMENTS)]


class Document(Struct, frozen=True):
    """A document as an object. Other fields of it are not read."""

    text: str


class RerankFields(TextsFields, frozen=True, kw_only=True):
    """The fields that the gateway validates, each by type and range; null means absent."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | Document], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    top_n: Count | None = None
    top_k: Count | None = None
    return_documents: bool | None = None


class RerankRequest(TextsRequest, frozen=True):
    """A request to rank its `documents`."""

    fields: RerankFields

    @classmethod
    def parse_fields(cls, body: JsonObject) -> RerankFields:
        fields = convert(body, RerankFields)
        if fields.top_n is not None and fields.top_k is not None and fields.top_n != fields.top_k:
            raise InvalidRequest("'top_n' and 'top_k' are two names of one field: send one.", param="top_k")
        return fields

    @property
    def documents(self) -> list[str]:
        """The texts of the documents."""
        return [each if isinstance(each, str) else each.text for each in self.fields.documents]

    @property
    def top_n(self) -> int | None:
        """How many of the documents the caller wants; None for all."""
        return self.fields.top_n or self.fields.top_k

    @property
    def searches(self) -> int:
        """See `TextsRequest.searches`."""
        if self.counts.searches is None:
            room = max(SMALLEST_CHUNK, CHUNK_TOKENS - bound_text(self.fields.query))
            chunks = sum(_chunks(document, room) for document in self.documents)
            self.counts.searches = math.ceil(chunks / DOCUMENTS_PER_SEARCH)
        return self.counts.searches

    def texts(self) -> Sequence[Text]:
        paths = (f"documents[{index}]" for index in range(len(self.documents)))
        return [Text(self.fields.query, "query"), *map(Text, self.documents, paths)]

    @property
    def known_tokens(self) -> int:
        """The query again for each further document: models read both together, and Voyage and Jina charge for it."""
        return bound_text(self.fields.query) * (len(self.fields.documents) - 1)

    def body_with_texts(self, texts: Sequence[str]) -> JsonObject:
        query, *documents = texts
        return {**self.body, "query": query, "documents": [*documents]}


def _chunks(document: str, room: int) -> int:
    """Return the most chunks of a document. A short one is not counted: it has no more tokens than bytes."""
    if len(document) <= room and len(document.encode("utf-8", "surrogatepass")) <= room:
        return 1
    return max(1, math.ceil(bound_text(document) / room))


RerankCall: TypeAlias = CallOf[RerankRequest]
"""A call that asks for a ranking."""
