"""The headers of requests to providers, remembered for those that differ in nothing but their body."""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.providers.base import Auth, SigV4Auth, Translator, UpstreamRequest
from tidegate.transport.base import RememberedHead

MAX_REMEMBERED = 1_000
"""The most pairs of a URL and a key, of 1 KB each. When there are more, all are forgotten. Some providers have one URL
for each model, most have one for all."""


class SignedHeaders(Redacted, Struct, frozen=True):
    """The `headers` of a request with its credentials: made of those `without_key`, its `auth` and the `key`.

    `name` is the provider's. The transport fills `remembered_head`.
    """

    translator: Translator
    name: str
    without_key: Mapping[str, str]
    auth: Auth
    key: str | None
    headers: Mapping[str, str]
    remembered_head: RememberedHead


class RememberedHeaders:
    """The last signed headers for each URL and key: headers with one key are never found for another.

    A key that is not used any more stays in memory until all are forgotten.
    """

    __slots__ = ("_remembered",)

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, str | None], SignedHeaders] = {}

    def find(self, translator: Translator, request: UpstreamRequest, key: str | None) -> SignedHeaders | None:
        """Return the headers of a request, if they are those of the last one to its URL with this key."""
        signed = self._remembered.get((request.url, key))
        if (
            signed is not None
            and signed.translator is translator
            and (signed.without_key is request.headers or signed.without_key == request.headers)
            and (signed.auth is request.auth or signed.auth == request.auth)
        ):
            return signed
        return None

    def add(
        self, translator: Translator, request: UpstreamRequest, key: str | None, headers: Mapping[str, str]
    ) -> SignedHeaders:
        """Remember the `headers` of a request, unless they hold for its body only."""
        name, head = translator.name, RememberedHead()
        signed = SignedHeaders(translator, name, request.headers, request.auth, key, headers, head)
        if not isinstance(request.auth, SigV4Auth):
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[request.url, key] = signed
        return signed
