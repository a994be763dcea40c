"""Verifies the access tokens of an OIDC issuer with the keys that it publishes. Imported with the first token.

Sources: https://openid.net/specs/openid-connect-discovery-1_0.html §4, RFC 7517 (JWK sets), RFC 9068 §4.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from tidegate.domain.identity import Identity, OidcIssuer
from tidegate.domain.timed_cache import Moment, TimedCache
from tidegate.errors import InvalidToken, IssuerUnavailable, UpstreamError
from tidegate.identity.access_token import UnverifiedToken, parse_token
from tidegate.identity.claims import identity_from_claims
from tidegate.identity.key_set import IssuerKey, parse_key_set
from tidegate.json import Json, decode
from tidegate.transport.base import HttpRequest, Timeouts, Transport

FRESH_SECONDS = 3600.0
"""How long fetched keys are used without a new request."""

STALE_SECONDS = 86400.0
"""How long they are used while the issuer does not answer."""

REFETCH_SECONDS = 60.0
"""The shortest time between two requests for keys, when a token names an unknown key or the issuer failed."""

RETRY_SECONDS = 5.0
"""The shortest time between two requests for keys while there are none."""

MAX_KEYS_TRIED = 4
"""Keys tried for one token: several keys of an issuer may have one id, or none."""

_TIMEOUTS = Timeouts(total=5.0)
_MAX_BODY_BYTES = 256 * 1024

log = logging.getLogger(__name__)


class OidcAccessTokens:
    """The port `AccessTokens` for one issuer."""

    def __init__(self, issuer: OidcIssuer, transport: Transport, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._transport = transport
        self._clock = clock
        self._cache = TimedCache[str, tuple[IssuerKey, ...]](1, wall=clock)
        self._jwks_url: str | None = None
        self._attempted_at: Moment | None = None
        self._refresh_lock = asyncio.Lock()

    async def verify(self, token: str) -> Identity:
        """See `AccessTokens.verify`. The claims are checked before keys are fetched: strangers cause few requests."""
        unverified = parse_token(token)
        identity = identity_from_claims(unverified.claims, self._issuer, self._clock())
        keys = await self._candidate_keys(unverified)
        if not any(unverified.is_signed_by(key.public_key) for key in keys[:MAX_KEYS_TRIED]):
            raise InvalidToken("The access token's signature is wrong.")
        return identity

    async def _candidate_keys(self, token: UnverifiedToken) -> list[IssuerKey]:
        """The keys that may have signed the token. Raises `IssuerUnavailable`, and `InvalidToken` if there are none."""
        keys = _matching_keys(self._fresh_keys(), token)
        if not keys:
            async with self._refresh_lock:
                keys = _matching_keys(self._fresh_keys(), token) or _matching_keys(await self._refresh_keys(), token)
        if not keys:
            raise InvalidToken("The access token is signed with a key that its issuer does not publish.")
        return keys

    def _fresh_keys(self) -> tuple[IssuerKey, ...]:
        entry = self._cache.find(self._issuer.url, FRESH_SECONDS)
        return () if entry is None else entry.value

    async def _refresh_keys(self) -> tuple[IssuerKey, ...]:
        """The issuer's current keys; if it does not answer, those that it published within `STALE_SECONDS`."""
        stale = self._cache.find(self._issuer.url, STALE_SECONDS)
        keys = None if stale is None else stale.value
        pause_seconds = REFETCH_SECONDS if keys else RETRY_SECONDS
        if self._attempted_at is None or self._cache.age_seconds(self._attempted_at) >= pause_seconds:
            self._attempted_at = attempted_at = self._cache.now()
            try:
                keys = await self._fetch_keys()
                self._cache.put(self._issuer.url, keys, attempted_at)
            except (UpstreamError, ValueError) as error:
                self._jwks_url = None
                log.warning("oidc.failed", extra={"error": type(error).__name__, "stale": keys is not None})
            except asyncio.CancelledError:
                self._attempted_at = None  # it is unknown whether the issuer answers
                raise
        if keys is None:
            message = "The issuer of the access tokens does not answer; try again in a moment."
            raise IssuerUnavailable(message, retry_after_seconds=RETRY_SECONDS)
        return keys

    async def _fetch_keys(self) -> tuple[IssuerKey, ...]:
        self._jwks_url = self._issuer.jwks_url or self._jwks_url or await self._discover_jwks_url()
        return parse_key_set(await self._fetch_json(self._jwks_url))

    async def _discover_jwks_url(self) -> str:
        match await self._fetch_json(self._issuer.url.rstrip("/") + "/.well-known/openid-configuration"):
            case {"issuer": self._issuer.url, "jwks_uri": str(url)} if _is_as_safe(url, self._issuer.url):
                return url
            case _:
                raise ValueError("The issuer's discovery document names another issuer, or no safe URL of its keys.")

    async def _fetch_json(self, url: str) -> Json:
        request = HttpRequest("GET", url, {"accept": "application/json"}, b"")
        async with self._transport.open(request, _TIMEOUTS) as response:
            status, body = response.status, await response.read(_MAX_BODY_BYTES)
        if status != 200:
            raise ValueError(f"The issuer responded with HTTP {status}.")
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError("The issuer's response is not JSON.") from None


def _matching_keys(keys: tuple[IssuerKey, ...], token: UnverifiedToken) -> list[IssuerKey]:
    """The keys with the token's key id and algorithm; a token without a key id matches all ids."""
    candidates = (key for key in keys if token.key_id in (None, key.id))
    return [key for key in candidates if key.supports_algorithm(token.algorithm)]


def _is_as_safe(url: str, issuer_url: str) -> bool:
    return url.startswith("https://") or (url.startswith("http://") and issuer_url.startswith("http://"))
