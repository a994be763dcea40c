"""The headers that were last sent to each URL: they serve the next request that differs in its body only."""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.providers.base import Auth, SigV4Auth, Translator, UpstreamRequest
from tidegate.transport.base import HeadMemo

MAX_URLS = 256
"""URLs whose headers are remembered. Some providers have one URL for each model, most have one for all."""


class SignedHeaders(Redacted, Struct, frozen=True):
    """The `headers` of a request with its credentials: made of its `plain` ones, its `auth` and the `key`.

    `name` is the provider's, and `memo` is the transport's.
    """

    translator: Translator
    name: str
    plain: Mapping[str, str]
    auth: Auth
    key: str | None
    headers: Mapping[str, str]
    memo: HeadMemo


class KnownHeaders:
    """The last signed headers by URL. A key is forgotten when the next request to its URL is sent with another one."""

    __slots__ = ("_by_url",)

    def __init__(self) -> None:
        self._by_url: dict[str, SignedHeaders] = {}

    def find(self, translator: Translator, request: UpstreamRequest, key: str | None) -> SignedHeaders | None:
        """Return the headers of a request, if they are those of the last one to its URL."""
        signed = self._by_url.get(request.url)
        if (
            signed is not None
            and signed.translator is translator
            and signed.key == key
            and signed.plain == request.headers
            and signed.auth == request.auth
        ):
            return signed
        return None

    def add(
        self, translator: Translator, request: UpstreamRequest, key: str | None, headers: Mapping[str, str]
    ) -> SignedHeaders:
        """Remember the `headers` of a request, unless they hold for its body only."""
        signed = SignedHeaders(translator, translator.name, request.headers, request.auth, key, headers, HeadMemo())
        if not isinstance(request.auth, SigV4Auth):
            if len(self._by_url) >= MAX_URLS:
                self._by_url.clear()
            self._by_url[request.url] = signed
        return signed
