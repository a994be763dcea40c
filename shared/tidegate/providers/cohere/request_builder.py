"""The request being built for Cohere."""

from msgspec import field

from tidegate.json import Json
from tidegate.providers import request_builder


class CohereRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Builds Cohere's body. `documents` are sent beside the messages."""

    supports_thinking: bool
    documents: list[Json] = field(default_factory=list[Json])
