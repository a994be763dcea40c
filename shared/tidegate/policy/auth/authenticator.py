"""Authenticates callers by virtual key or access token, and finds the workspace that their call is for."""

import hmac
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeAlias

from msgspec.structs import replace

from tidegate.domain.identity import subject_id
from tidegate.domain.keys import hash_secret, implied_workspace, is_usable
from tidegate.domain.timed_cache import TimedCache
from tidegate.domain.workspace import UNKNOWN_SOURCE, Principal, RequestSource, VirtualKey, Workspace
from tidegate.errors import InvalidKey, InvalidToken, MissingWorkspace, TidegateError, WorkspaceForbidden
from tidegate.lazy import load
from tidegate.policy.single_flight import SingleFlight
from tidegate.ports import AccessTokens, KeyLookup

CACHE_SECONDS = 60.0
"""How long a revoked key or a suspended workspace may still work in a process that has it in its cache."""

MAX_CACHED = 10_000
MAX_WORKSPACE_ID_CHARACTERS = 128

_NOTHING_GRANTED = "This token's subject may not use any workspace here."
_HOW_TO_SEND_A_KEY = "Send 'Authorization: Bearer <your key>'."

KeyAndWorkspace: TypeAlias = tuple[VirtualKey, Workspace | None]
"""The key of the caller, and the workspace of the call if it exists."""


CallerKey: TypeAlias = tuple[str, str | None]
"""The hash of a caller's credential and the workspace that it names, under which the caller is cached."""


class _Lookup(NamedTuple):
    key_hash: str
    workspace_id: str | None

    @property
    def storable_workspace_id(self) -> str | None:
        """The workspace id, cut to a length that the store takes as a key; no real id is longer."""
        return (self.workspace_id or "")[:MAX_WORKSPACE_ID_CHARACTERS] or None


class _Caller(NamedTuple):
    """An admitted caller: its key, and what `Authenticator.authenticate` returns for it.

    `is_restricted`: the key is for some endpoints or networks only, so each request's source is checked.
    """

    key: VirtualKey
    admitted: tuple[Principal, Workspace]
    is_restricted: bool
    expires_at: float | None


class Throttle(Protocol):
    """Refuses wrong credentials. `policy.auth.throttle` implements it."""

    def check_known_wrong(self, key_hash: str) -> None: ...

    def refusal(self, address: str | None, key_hash: str, error: TidegateError) -> TidegateError: ...


class Authenticator:
    """Authenticates callers against the stored keys, and caches admitted callers for `CACHE_SECONDS`.

    With `access_tokens`, a credential of the form `a.b.c` is an access token (a JWT); any other is a virtual key.
    A credential that is not cached is looked up, whatever else its address has sent: nobody locks valid callers out.

        principal, workspace = await authenticator.authenticate("Bearer tg-…", workspace_id="acme")
    """

    def __init__(
        self,
        key_lookup: KeyLookup,
        *,
        access_tokens: AccessTokens | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._throttle: Throttle | None = None
        self._key_lookup = key_lookup
        self._access_tokens = access_tokens
        self._clock = clock
        self._cache = TimedCache[CallerKey, _Caller](max_cached, monotonic=monotonic, wall=clock)
        self._flights = SingleFlight[_Lookup, KeyAndWorkspace]()

    async def authenticate(
        self,
        authorization: str | None,
        workspace_id: str | None,
        *,
        required_workspace: bool = False,
        source: RequestSource = UNKNOWN_SOURCE,
    ) -> tuple[Principal, Workspace]:
        """Return the principal and the workspace: `workspace_id`, or else the key's default or only workspace.

        Raises `InvalidKey`, `InvalidToken` or, in their place after many, `TooManyFailures` before anything else, then
        `EndpointNotAllowed`, `NetworkNotAllowed`, `MissingWorkspace` and `WorkspaceForbidden`. Unknown, revoked and
        expired keys get one message and cost the same work; so do unknown, suspended and foreign workspaces.
        """
        secret = bearer_token(authorization)
        lookup = _Lookup(hash_secret(secret), (workspace_id or "").strip() or None)
        caller = self._find_cached(lookup)
        if caller is None:
            read_at = self._cache.now()
            key, workspace = await self._find_caller_or_refuse(lookup, secret, source)
            _check_restrictions(key, source)
            workspace = _allowed_workspace(lookup, key, workspace, required_workspace)
            principal = Principal(key.id, key.workspace_ids, key.limits, key.trace_sample, key.traces_since)
            is_restricted = key.endpoints is not None or key.networks is not None
            caller = _Caller(key, (principal, workspace), is_restricted, key.expires_at)
            self._cache.put(lookup, caller, read_at)
        else:
            if caller.is_restricted:
                _check_restrictions(caller.key, source)
            if required_workspace and lookup.workspace_id is None:
                raise _missing_workspace()
        return caller.admitted

    def cached_caller(self, caller_key: CallerKey) -> tuple[Principal, Workspace] | None:
        """Return the principal and the workspace of a cached caller.

        None if `authenticate` must decide: for a caller that is not cached, or no longer valid, and for a key that is
        restricted to endpoints or networks.
        """
        entry = self._cache.find(caller_key, CACHE_SECONDS)
        if entry is None:
            return None
        _, admitted, is_restricted, expires_at = entry.value
        if is_restricted or (expires_at is not None and self._clock() >= expires_at):
            return None
        return admitted

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """Return the workspace as it is stored, also a suspended one; None if it does not exist."""
        return await self._key_lookup.find_workspace(workspace_id)

    async def list_workspaces(
        self, authorization: str | None, *, source: RequestSource = UNKNOWN_SOURCE
    ) -> list[Workspace]:
        """Return the active workspaces that the caller may use, sorted by id. Raises the errors of `authenticate`."""
        secret = bearer_token(authorization)
        lookup = _Lookup(hash_secret(secret), None)
        caller = self._find_cached(lookup)
        key = caller.key if caller else (await self._find_caller_or_refuse(lookup, secret, source))[0]
        _check_restrictions(key, source)
        found = await self._key_lookup.find_workspaces(key.workspace_ids)
        return sorted((each for each in found if each.status == "active"), key=lambda each: each.id)

    async def _find_caller_or_refuse(self, lookup: _Lookup, secret: str, source: RequestSource) -> KeyAndWorkspace:
        """Find the caller. Raises `InvalidKey`, `InvalidToken` or `TooManyFailures` for a wrong credential."""
        try:
            if self._throttle is not None:
                self._throttle.check_known_wrong(lookup.key_hash)
            return await self._flights.run(lookup, partial(self._find_caller, lookup, secret))
        except (InvalidKey, InvalidToken) as error:
            raise self.throttle.refusal(source.address, lookup.key_hash, error) from None

    @property
    def throttle(self) -> Throttle:
        """The refusals of this process; loaded with the first one."""
        throttle = self._throttle
        if throttle is None:
            create: Callable[..., Throttle] = load("tidegate.policy.auth.throttle", "GuessThrottle")
            throttle = self._throttle = create(self._clock)
        return throttle

    def _check_key(self, lookup: _Lookup, key: VirtualKey | None) -> VirtualKey:
        matches = hmac.compare_digest(key.hash if key else "", lookup.key_hash)
        if key is None or not matches or not is_usable(key, self._clock()):
            raise InvalidKey(f"This API key is not valid: it is unknown, revoked or expired. {_HOW_TO_SEND_A_KEY}")
        return key

    def _find_cached(self, lookup: CallerKey) -> _Caller | None:
        """Return the admitted caller of a key's hash and a workspace id; None if it is not known or no longer valid."""
        entry = self._cache.find(lookup, CACHE_SECONDS)
        if entry is not None:
            expires_at = entry.value.expires_at
            if expires_at is None or self._clock() < expires_at:
                return entry.value
        self._cache.remove(lookup)
        return None

    async def _find_caller(self, lookup: _Lookup, secret: str) -> KeyAndWorkspace:
        if self._access_tokens is not None and secret.count(".") == 2:
            return await self._find_token_caller(self._access_tokens, lookup, secret)
        key, workspace = await self._key_lookup.find_key(lookup.key_hash, lookup.storable_workspace_id)
        return self._check_key(lookup, key), workspace

    async def _find_token_caller(self, access_tokens: AccessTokens, lookup: _Lookup, token: str) -> KeyAndWorkspace:
        """Find the caller, as a key that expires with the token. Raises `WorkspaceForbidden` without any grant."""
        claims = await access_tokens.verify(token)
        if claims.workspace_ids is None:
            key, workspace = await self._key_lookup.find_subject(claims.subject_hash, lookup.storable_workspace_id)
            if key is None or not is_usable(key, self._clock()):
                raise _forbidden() if lookup.workspace_id else WorkspaceForbidden(_NOTHING_GRANTED)
            expires_at = claims.expires_at if key.expires_at is None else min(key.expires_at, claims.expires_at)
            return replace(key, expires_at=expires_at), workspace
        id = subject_id(claims.subject_hash)
        key = VirtualKey(id, claims.subject_hash, "", claims.workspace_ids, None, expires_at=claims.expires_at)
        wanted_id = lookup.workspace_id or implied_workspace(key)
        if wanted_id is None or wanted_id not in key.workspace_ids:
            return key, None
        return key, await self._key_lookup.find_workspace(wanted_id)


def caller_key(authorization: bytes, workspace_id: str | None) -> CallerKey | None:
    """Return the key under which `authenticate` caches the caller with these headers, which are as they were sent.

    None for a header that is not in its usual form.
    """
    if authorization[:7] != b"Bearer " or not authorization.isascii():
        return None
    return sha256(authorization[7:]).hexdigest(), workspace_id


def bearer_token(authorization: str | None) -> str:
    """Return the token of an `Authorization` header. Raises `InvalidKey`, whose message says how to send one."""
    if not authorization or not authorization.strip():
        raise InvalidKey(f"This request has no API key. {_HOW_TO_SEND_A_KEY}")
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or len(token.split()) != 1:
        raise InvalidKey(f"The Authorization header does not hold a bearer key. {_HOW_TO_SEND_A_KEY}")
    return token


def _allowed_workspace(lookup: _Lookup, key: VirtualKey, workspace: Workspace | None, required: bool) -> Workspace:
    if lookup.workspace_id is None and required:
        raise _missing_workspace()
    wanted_id = lookup.workspace_id or implied_workspace(key)
    if wanted_id is None and len(key.workspace_ids) > 1:
        raise MissingWorkspace("This key has several workspaces: name one in the x-workspace-id header.")
    is_foreign = wanted_id not in key.workspace_ids or workspace is None or workspace.id != wanted_id
    if workspace is None or is_foreign or workspace.status != "active":
        raise _forbidden()
    return workspace


def _forbidden() -> WorkspaceForbidden:
    return WorkspaceForbidden("This key may not use this workspace: it is unknown, suspended, or not granted.")


def _missing_workspace() -> MissingWorkspace:
    return MissingWorkspace("The x-workspace-id header is required here: set it to the id of your workspace.")


def _check_restrictions(key: VirtualKey, source: RequestSource) -> None:
    """See `restrictions.check_restrictions`. The module is loaded with the first restricted key."""
    if key.endpoints is not None or key.networks is not None:
        load("tidegate.domain.restrictions", "check_restrictions")(key, source)
