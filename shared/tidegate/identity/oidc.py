"""Access tokens of an OIDC issuer, verified with the keys that it publishes. Loaded only where one is configured.

Sources: https://openid.net/specs/openid-connect-discovery-1_0.html §4, RFC 7517 (JWK sets), RFC 9068 §4.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct, field

from tidegate.domain.identity import Identity, Issuer
from tidegate.errors import InvalidToken, IssuerUnavailable, UpstreamError
from tidegate.identity import jwk, jwt
from tidegate.identity.jwk import Key
from tidegate.json import Json, decode
from tidegate.transport.base import HttpRequest, Timeouts, Transport

FRESH_SECONDS = 3600.0
STALE_SECONDS = 86400.0
"""How long the keys of an issuer that does not answer are still taken."""

AGAIN_SECONDS = 60.0
"""How often at most the keys are asked for because a token names another one, or because the issuer failed."""

SOON_SECONDS = 5.0
"""The same, while there are no keys at all."""

MAX_TRIED = 4
"""Keys for one token: an issuer may give two the same id, or none."""

_TIMEOUTS = Timeouts(total=5.0)
_MAX_BODY_BYTES = 256 * 1024

log = logging.getLogger(__name__)


class _Known(Struct, frozen=True):
    keys: tuple[Key, ...]
    at: float


class OidcTokens(Struct):
    """The port `Tokens`, for one issuer. Only the wall clock counts: Lambda freezes the other one."""

    issuer: Issuer
    transport: Transport
    clock: Callable[[], float] = time.time
    _known: _Known | None = None
    _jwks_url: str | None = None
    _tried_at: float | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def verify(self, token: str) -> Identity:
        """See `Tokens.verify`. What a token claims is checked first, so that few strangers make the issuer be asked."""
        read = jwt.read(token)
        identity = jwt.identity(read.claims, self.issuer, self.clock())
        keys = await self._keys(read)
        if not any(key.verify(read.algorithm, read.signed, read.signature) for key in keys[:MAX_TRIED]):
            raise InvalidToken("The access token's signature is wrong.")
        return identity

    async def _keys(self, token: jwt.Token) -> list[Key]:
        """Those that may have signed the token. Raises `IssuerUnavailable`, and `InvalidToken` where there is none."""
        found = _matching(self._fresh(), token)
        if not found:
            async with self._asking:
                found = _matching(self._fresh(), token) or _matching(await self._asked(), token)
        if not found:
            raise InvalidToken("The access token is signed with a key that its issuer does not publish.")
        return found

    def _fresh(self) -> tuple[Key, ...]:
        return self._known.keys if self._known and self._age(self._known.at) < FRESH_SECONDS else ()

    def _age(self, at: float) -> float:
        """A clock that was set back must not keep anything for longer."""
        return abs(self.clock() - at)

    async def _asked(self) -> tuple[Key, ...]:
        """The issuer's keys as they are now, or as they were in the last day where it does not answer."""
        stale = self._known if self._known and self._age(self._known.at) < STALE_SECONDS else None
        pause = AGAIN_SECONDS if stale else SOON_SECONDS
        if self._tried_at is None or self._age(self._tried_at) >= pause:
            self._tried_at = self.clock()
            try:
                self._known = stale = _Known(await self._fetch(), self._tried_at)
            except (UpstreamError, ValueError) as error:
                self._jwks_url = None
                log.warning("oidc.failed", extra={"error": type(error).__name__, "stale": stale is not None})
            except asyncio.CancelledError:
                self._tried_at = None  # nobody knows yet whether the issuer answers
                raise
        if stale is None:
            message = "The issuer of access tokens does not answer; try again in a moment."
            raise IssuerUnavailable(message, retry_after_seconds=SOON_SECONDS)
        return stale.keys

    async def _fetch(self) -> tuple[Key, ...]:
        self._jwks_url = self.issuer.jwks_url or self._jwks_url or await self._discovered()
        return jwk.read(await self._get(self._jwks_url))

    async def _discovered(self) -> str:
        match await self._get(self.issuer.url.rstrip("/") + "/.well-known/openid-configuration"):
            case {"issuer": self.issuer.url, "jwks_uri": str(url)} if _is_as_safe(url, self.issuer.url):
                return url
            case _:
                raise ValueError("The issuer's configuration is another's, or names no place of its keys.")

    async def _get(self, url: str) -> Json:
        request = HttpRequest("GET", url, {"accept": "application/json"}, b"")
        async with self.transport.open(request, _TIMEOUTS) as response:
            status, body = response.status, await response.read(_MAX_BODY_BYTES)
        if status != 200:
            raise ValueError(f"The issuer answered with {status}.")
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError("The issuer's answer is not JSON.") from None


def _matching(keys: tuple[Key, ...], token: jwt.Token) -> list[Key]:
    """Those that the token may mean: of its key id, or all where it has none."""
    named = (key for key in keys if token.key_id in (None, key.id))
    return [key for key in named if key.fits(token.algorithm)]


def _is_as_safe(url: str, than: str) -> bool:
    return url.startswith("https://") or (url.startswith("http://") and than.startswith("http://"))
