"""Who calls, and on whose account: a bearer key or an access token, and the workspace that it may use."""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain import restrictions
from tidegate.domain.identity import subject_id
from tidegate.domain.keys import hash_secret, implied_workspace, is_usable
from tidegate.domain.restrictions import UNKNOWN, Source
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.errors import InvalidKey, InvalidToken, MissingWorkspace, WorkspaceForbidden
from tidegate.policy.auth.throttle import Failures
from tidegate.ports import Directory, Tokens

CACHE_SECONDS = 60.0
"""How long a revoked key or a suspended workspace may still work in a process that knows it."""

MAX_CACHED = 10_000
MAX_WORKSPACE_ID = 128

_HOW = "Send 'Authorization: Bearer <your key>'."

Found: TypeAlias = tuple[VirtualKey, Workspace | None]
"""Who it was proved to be, and the workspace if there is one."""


class _LookUp(NamedTuple):
    key_hash: str
    workspace_id: str | None

    @property
    def short_id(self) -> str | None:
        """What the store can be asked for: no real id is longer."""
        return (self.workspace_id or "")[:MAX_WORKSPACE_ID] or None


class _Known(Struct, frozen=True):
    key: VirtualKey
    workspace: Workspace
    monotonic: float
    wall: float


class Authenticator:
    """Proves callers against the directory, and remembers for `CACHE_SECONDS` those who were let in.

    Where there are `tokens`, a bearer of three parts between dots is an access token, and all else a key.
    An address from which too much was guessed waits before it is heard, except for those who are remembered.
    Both clocks count: `monotonic` stands still while Lambda has the process frozen, and `wall` may be set back.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        tokens: Tokens | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self.failures = Failures(clock, sleep=sleep)
        self._directory = directory
        self._tokens = tokens
        self._monotonic = monotonic
        self._clock = clock
        self._max_cached = max_cached
        self._known: OrderedDict[_LookUp, _Known] = OrderedDict()
        self._flights: dict[_LookUp, asyncio.Future[Found]] = {}

    async def authenticate(
        self,
        authorization: str | None,
        workspace_id: str | None,
        *,
        required_workspace: bool = False,
        source: Source = UNKNOWN,
    ) -> tuple[Principal, Workspace]:
        """The caller and the workspace: the one named, or else the key's default or only one.

        Raises `TooManyFailures`, `InvalidKey` or `InvalidToken` before anything else, then `EndpointNotAllowed`,
        `NetworkNotAllowed`, `MissingWorkspace` and `WorkspaceForbidden`. Unknown, revoked and expired keys are alike,
        in message and in work; so are unknown, foreign and suspended workspaces.
        """
        secret = bearer(authorization)
        asked = _LookUp(hash_secret(secret), (workspace_id or "").strip() or None)
        known = self._cached(asked)
        if known is None:
            monotonic, wall = self._monotonic(), self._clock()
            key, workspace = await self._heard(asked, secret, source)
            restrictions.check(key, source)
            workspace = _permitted(asked, key, workspace, required_workspace)
            known = _Known(key, workspace, monotonic, wall)
            self._remember(asked, known)
        else:
            restrictions.check(known.key, source)
            if required_workspace and asked.workspace_id is None:
                raise _missing()
        return Principal(known.key.id, known.key.workspace_ids, known.key.limits), known.workspace

    async def workspaces(self, authorization: str | None, *, source: Source = UNKNOWN) -> list[Workspace]:
        """Those that the caller may use, by id; without the suspended ones. Raises as `authenticate` of the caller."""
        secret = bearer(authorization)
        asked = _LookUp(hash_secret(secret), None)
        known = self._cached(asked)
        key = known.key if known else (await self._heard(asked, secret, source))[0]
        restrictions.check(key, source)
        found = await self._directory.find_workspaces(key.workspace_ids)
        return sorted((each for each in found if each.status == "active"), key=lambda each: each.id)

    async def _heard(self, asked: _LookUp, secret: str, source: Source) -> Found:
        """What `_find` finds, once the address may be heard. Who does not prove it is counted."""
        await self.failures.slow(source.address)
        try:
            return await self._find(asked, secret)
        except (InvalidKey, InvalidToken):
            self.failures.count(source.address)
            raise

    def _proved(self, asked: _LookUp, key: VirtualKey | None) -> VirtualKey:
        matches = hmac.compare_digest(key.hash if key else "", asked.key_hash)
        if key is None or not matches or not is_usable(key, self._clock()):
            raise InvalidKey(f"This API key is not valid: it is unknown, revoked or expired. {_HOW}")
        return key

    def _cached(self, asked: _LookUp) -> _Known | None:
        known = self._known.get(asked)
        if known is None:
            return None
        age = max(self._monotonic() - known.monotonic, self._clock() - known.wall)
        if age >= CACHE_SECONDS or not is_usable(known.key, self._clock()):
            del self._known[asked]
            return None
        self._known.move_to_end(asked)
        return known

    def _remember(self, asked: _LookUp, known: _Known) -> None:
        self._known[asked] = known
        self._known.move_to_end(asked)
        if len(self._known) > self._max_cached:
            self._known.popitem(last=False)

    async def _prove(self, asked: _LookUp, secret: str) -> Found:
        if self._tokens is not None and secret.count(".") == 2:
            return await self._prove_token(self._tokens, asked, secret)
        key, workspace = await self._directory.find(asked.key_hash, asked.short_id)
        return self._proved(asked, key), workspace

    async def _prove_token(self, tokens: Tokens, asked: _LookUp, token: str) -> Found:
        """The caller as a key that ends with the token. Raises `WorkspaceForbidden` for one who was given none."""
        said = await tokens.verify(token)
        if said.workspace_ids is None:
            key, workspace = await self._directory.find_subject(said.subject_hash, asked.short_id)
            if key is None or not is_usable(key, self._clock()):
                raise WorkspaceForbidden("This token's subject may use no workspace here.")
            ends = said.expires_at if key.expires_at is None else min(key.expires_at, said.expires_at)
            return replace(key, expires_at=ends), workspace
        id = subject_id(said.subject_hash)
        key = VirtualKey(id, said.subject_hash, "", said.workspace_ids, None, expires_at=said.expires_at)
        wanted = asked.workspace_id or implied_workspace(key)
        if wanted is None or wanted not in key.workspace_ids:
            return key, None
        return key, await self._directory.find_workspace(wanted)

    async def _find(self, asked: _LookUp, secret: str) -> Found:
        """What `_prove` finds; look-ups of the same that run at the same time share one read."""
        while (flight := self._flights.get(asked)) is not None:
            await asyncio.wait({flight})
            if not flight.cancelled():  # whoever read hung up: somebody else reads
                return flight.result()
        flight = self._flights[asked] = asyncio.get_running_loop().create_future()
        try:
            found = await self._prove(asked, secret)
        except BaseException as error:
            if isinstance(error, Exception):
                flight.set_exception(error)
                flight.exception()  # or asyncio complains when nobody waited
            else:
                flight.cancel()
            raise
        else:
            flight.set_result(found)
            return found
        finally:
            del self._flights[asked]


def bearer(authorization: str | None) -> str:
    """The token of an `Authorization` header. Raises `InvalidKey`, which says how to send one."""
    if not authorization or not authorization.strip():
        raise InvalidKey(f"There is no API key in this request. {_HOW}")
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or len(token.split()) != 1:
        raise InvalidKey(f"The Authorization header holds no bearer key. {_HOW}")
    return token


def _permitted(asked: _LookUp, key: VirtualKey, workspace: Workspace | None, required: bool) -> Workspace:
    if asked.workspace_id is None and required:
        raise _missing()
    wanted = asked.workspace_id or implied_workspace(key)
    if wanted is None and len(key.workspace_ids) > 1:
        raise MissingWorkspace("This key has several workspaces: name one in the x-workspace-id header.")
    foreign = wanted not in key.workspace_ids or workspace is None or workspace.id != wanted
    if workspace is None or foreign or workspace.status != "active":
        raise WorkspaceForbidden("This key may not use this workspace: it is unknown, suspended or another's.")
    return workspace


def _missing() -> MissingWorkspace:
    return MissingWorkspace("The x-workspace-id header is required here: send the id of your workspace.")
