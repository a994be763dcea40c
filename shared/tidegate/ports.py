"""Protocols of the stores and services that the gateway uses. `memory/` and `aws/` implement the stores.

The contract tests in `tests/ports/` run against both implementations. Every method except `AccessTokens.verify` raises
`StoreUnavailable` when its store does not answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidegate.domain.account import Account, AccountScope, Hold, Reservation
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.domain.call import IdempotencyClaim, Media, Outcome
from tidegate.domain.identity import Identity
from tidegate.domain.record import CallRecord
from tidegate.domain.workspace import VirtualKey, Workspace, WorkspaceStatus
from tidegate.json import Json


class KeyLookup(Protocol):
    """Virtual keys and workspaces, read once for each call.

    Example: `key, workspace = await lookup.find_key(hash_secret(secret), None)`.
    """

    async def find_key(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """The key with this hash, and the named workspace, or the key's default one; None for each that does not exist.

        Takes one consistent read; two if no workspace is named and the key's default is not cached yet.
        """
        ...

    async def find_subject(
        self, subject_hash: str, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        """The grant of an OIDC subject for the workspace, and the workspace; None for each that does not exist.

        Without a workspace: the only usable grant, and the workspace that it implies; or a key with the workspaces of
        all usable grants and no default. `find_key` returns no grant.
        """
        ...

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """The workspace without a key, in one consistent read."""
        ...

    async def find_workspaces(self, ids: Sequence[str]) -> Sequence[Workspace]:
        """The workspaces that exist, in any order and in one consistent read."""
        ...


class AccessTokens(Protocol):
    """Verifies access tokens of the OIDC issuer that the operator trusts."""

    async def verify(self, token: str) -> Identity:
        """The subject of a valid token, and when the token expires.

        Raises `InvalidToken`, `ExpiredToken` and `IssuerUnavailable`; no message quotes any part of the token.
        """
        ...


class Ledger(Protocol):
    """Accounts of limits. A call reserves its worst case before a provider is called; `Meter.record` settles it.

    Example: `hold, account = await ledger.reserve(reservation)`, and after the call `await meter.record(outcome)`.
    """

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> tuple[Hold, Account | None]:
        """Book the hold in all of the reservation's accounts or in none: one conditional write or transaction.

        `replacing` is the open hold of the same call, whose place the new one takes: the call is not counted again. If
        it is refused, the old hold remains. Returns the hold as booked, and the state of the first account after the
        write, or None. Idempotent. Raises `RateLimited` and `QuotaExhausted`.
        """
        ...

    async def account(self, scope: AccountScope, first_day: int = 1) -> Account:
        """The account now, all its shards merged; empty before its first booking. Months begin on `first_day`."""
        ...

    async def replace_alerted(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """Replace the account's alerted thresholds; False if they are no longer `before`."""
        ...


class BudgetAlerts(Protocol):
    """Sends budget alerts to the operator."""

    async def emit(self, alert: BudgetAlert) -> None:
        """Send one alert once."""
        ...


class Meter(Protocol):
    """Records finished calls."""

    @property
    def records_at_once(self) -> bool:
        """True if `record` waits for nothing, so that no cancellation can interrupt it."""
        ...

    async def record(self, outcome: Outcome) -> CallRecord | None:
        """Write the call's record, settle the hold and add to the counters: all once, or nothing. Idempotent.

        Return the record; None from a meter that writes none.
        What a process that is killed leaves undone after the record, the sweeper and the roller do by the record.
        """
        ...


class CallContent(Protocol):
    """The content of a call that has a trace, as it is stored: masked. `domain.trace.Trace` implements it."""

    @property
    def request(self) -> bytes:
        """The request as received; empty if it could not be masked."""
        ...

    @property
    def answer(self) -> bytes:
        """The JSON of the whole reply; empty if there is none."""
        ...


class Telemetry(Protocol):
    """Sends spans and metrics of finished calls to the operator's OpenTelemetry collector."""

    async def send(self, outcome: Outcome, content: CallContent | None) -> None:
        """Send the call once, with its content if that is kept as a trace.

        Takes a fraction of a second at most; a loss is logged, and raises nothing.
        """
        ...


SIGNATURE_SECONDS = 86_400
"""How long signed reasoning is stored: a day."""


class ReasoningSignatures(Protocol):
    """Signed reasoning that preceded tool calls, for clients that do not send it back with the tools' results.

    `turn` is a digest of the conversation up to and including the turn that has the calls.
    """

    async def find(self, workspace_id: str, turns: Sequence[str]) -> dict[str, list[Json]]:
        """The stored `reasoning_details` by turn."""
        ...

    async def keep(self, workspace_id: str, turn: str, details: list[Json]) -> None:
        """Store the details for a day; details that are too large are not stored.

        Other details under the same turn show that two conversations are equal so far, also in the ids of their calls.
        Nobody can tell whose turn comes back, so that neither's details are found afterwards.
        """
        ...


class ReplyStore(Protocol):
    """Stored replies by cache key."""

    @property
    def answers_at_once(self) -> bool:
        """True if `find` and `keep` never wait: they need no time limit, and no cancellation can interrupt them."""
        ...

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """The workspace's reply under this key, unless it has expired."""
        ...

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """Store or replace the reply for this many seconds; False if it is too large."""
        ...


class Traces(Protocol):
    """Traces: the content of calls, encrypted with a key of their workspace."""

    async def keep(self, workspace_id: str, call_id: str, /, content: bytes, expires_at: float) -> None:
        """Store a trace until a time in UTC seconds, or replace it. Raises `StoreUnavailable`."""
        ...

    async def find(self, workspace_id: str, call_id: str, /) -> bytes | None:
        """Return the call's trace; None if it has expired, is lost, or the workspace's key has been destroyed."""
        ...


class ResponseStates(Protocol):
    """Stored responses, encrypted with a key of their workspace: `domain.response_state` packs them."""

    async def keep(self, workspace_id: str, response_id: str, /, content: bytes, expires_at: float) -> None:
        """Store a response until a time in UTC seconds, or replace it."""
        ...

    async def find(self, workspace_id: str, response_id: str, /) -> bytes | None:
        """Return the workspace's response; None if it has expired, or does not exist."""
        ...

    async def delete(self, workspace_id: str, response_id: str, /) -> None:
        """Delete the response, if it exists."""
        ...

    async def delete_all(self, workspace_id: str) -> None:
        """Delete all responses of the workspace. May be repeated after a failure."""
        ...


class IdempotencyClaims(Protocol):
    """Idempotency keys: which call owns a key, and the reply that the call produced."""

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """Take the key in one conditional write, or return the reply that it already led to.

        Raises `IdempotencyInFlight` while another call owns the key, and `IdempotencyKeyReused` for another body.
        """
        ...

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """Store the reply for this many seconds; False if it is too large, or if the caller lost the claim."""
        ...

    async def release(self, claim: IdempotencyClaim) -> None:
        """Free the key for other calls at once, if the caller still owns it."""
        ...


class Cooldowns(Protocol):
    """Announces failing deployments to other processes, which get them with a key look-up, without an extra read."""

    async def tell(self, workspace_id: str | None, deployment_id: str, until: float, name: str = "") -> None:
        """Announce that a deployment cools down `until` a time in UTC seconds. A later stored end is not shortened.

        `workspace_id` is the owner of the deployment, None for the gateway; `name` is the deployment's display name.
        """
        ...


class Secrets(Protocol):
    """Provider credentials of the operator, by the name of their setting."""

    def cached(self, name: str) -> str | None:
        """The secret's value, if it is known without a read; None if it is not, or not set: `get` tells."""
        ...

    async def get(self, name: str) -> str | None:
        """The secret's value; None if it is not set."""
        ...


class Vault(Protocol):
    """Provider credentials that workspaces brought, by the name of their setting."""

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """All credentials of the workspace; empty if it has none."""
        ...

    async def update(self, workspace_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Replace all credentials of the workspace by what `change` returns for them.

        `change` is called again if another update came between. Raises `Stale` if that happens too often.
        """
        ...


class UrlFetcher(Protocol):
    """Fetches media that callers name by URL. `transport.media_fetcher` implements it."""

    async def fetch(self, urls: Mapping[str, str], remaining_seconds: float) -> dict[str, Media]:
        """Return the media by their URL; `urls` are given by the path of their part. Raises `InvalidRequest`."""
        ...


class Tenants(Protocol):
    """Workspaces, as an operator manages them."""

    async def put_workspace(self, workspace: Workspace) -> bool:
        """Create the workspace; False if the id exists, and nothing changes."""
        ...

    async def get_workspace(self, workspace_id: str) -> Workspace | None: ...

    async def list_workspaces(self) -> Sequence[Workspace]:
        """All workspaces, sorted by id."""
        ...

    async def set_workspace_status(self, workspace_id: str, status: WorkspaceStatus) -> bool:
        """Change the status; False if the workspace does not exist."""
        ...


class Keys(Protocol):
    """Virtual keys, as an operator manages them."""

    async def put_key(self, key: VirtualKey) -> bool:
        """Create the key and list it under each of its workspaces; False if its hash or id exists."""
        ...

    async def list_keys(self, workspace_id: str) -> Sequence[VirtualKey]:
        """The workspace's keys including revoked ones, sorted by id."""
        ...

    async def revoke_key(self, workspace_id: str, key_id: str) -> bool:
        """Revoke the key in all its workspaces; the key of an OIDC subject is deleted. False if it does not exist."""
        ...


class UsageReader(Protocol):
    """Reads the counters and records that the meter writes, over all `shards` of a workspace."""

    async def counters(self, workspace_id: str, period: str, shards: int = 1) -> dict[str, int | str] | None:
        """The counters of "M#2026-11" or "D#2026-11-21": calls, input_tokens, …, cost_usd as a decimal string."""
        ...

    async def calls(self, workspace_id: str, limit: int, shards: int = 1) -> Sequence[dict[str, object]]:
        """The newest call records, newest first."""
        ...

    async def days(
        self, workspace_id: str, first: str, last: str, shards: int = 1
    ) -> Mapping[str, Mapping[str, int | str]]:
        """Counters by day, from "2026-11-01" to "2026-11-30" inclusive; days without calls are absent."""
        ...

    async def records(
        self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1
    ) -> Sequence[dict[str, object]]:
        """Call records with ids strictly between `after` and `before`, newest first."""
        ...
