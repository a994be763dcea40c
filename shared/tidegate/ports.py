"""What the core needs from the world. Each port has two rooms, `memory/` and `aws/`, and one contract test."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.domain.account import Account, AccountScope, Hold, Reservation
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.domain.call import Outcome
from tidegate.domain.idempotency import IdempotencyClaim
from tidegate.domain.identity import Identity
from tidegate.domain.workspace import VirtualKey, Workspace, WorkspaceStatus
from tidegate.json import Json


class KeyLookup(Protocol):
    """Keys and workspaces, read on the path of a call."""

    async def find(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """The key with that hash, and the workspace named, or else the key's default one; None for what does not exist.

        One read; two only when no workspace is named and the key's default is not known yet. Consistent.
        Raises `StoreUnavailable`.
        """
        ...

    async def find_subject(
        self, subject_hash: str, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        """The same of an OIDC subject, to whom the operator gave workspaces. No bearer key is found by it."""
        ...

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """The workspace alone, in one consistent read. Raises `StoreUnavailable`."""
        ...

    async def find_workspaces(self, ids: Sequence[str]) -> Sequence[Workspace]:
        """Those of them that exist, in any order and in one consistent read. Raises `StoreUnavailable`."""
        ...


class AccessTokens(Protocol):
    """Access tokens of the OIDC issuer that the operator trusts."""

    async def verify(self, token: str) -> Identity:
        """Whom the issuer gave it to, for as long as it says.

        Raises `InvalidToken`, `ExpiredToken` and `IssuerUnavailable`; no message holds any of the token.
        """
        ...


class Ledger(Protocol):
    """The accounts of limits: room is taken there before a provider is called. `Meter.record` settles it."""

    async def reserve(self, reservation: Reservation) -> tuple[Hold, Account | None]:
        """Take the room in all of its accounts or in none, in one conditional write.

        The hold as it was booked, and the first account as it is then, where the write tells. Taking the same again
        changes nothing.
        Raises `RateLimited`, `QuotaExhausted`, and `StoreUnavailable`.
        """
        ...

    async def release(self, hold: Hold) -> None:
        """Give back what was held for a call that shall hold something else: nothing of it was used.

        It has counted as a request of its minute. Raises `StoreUnavailable`.
        """
        ...

    async def account(self, scope: AccountScope, first_day: int = 1) -> Account:
        """The account as it is, all its shards together; empty where nothing was ever booked.

        Months begin on `first_day`. Raises `StoreUnavailable`.
        """
        ...

    async def note(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """Put `after` in the place of what the account says was warned of; False when it no longer says `before`.

        Raises `StoreUnavailable`.
        """
        ...


class BudgetAlerts(Protocol):
    """Who hears what operators should know."""

    async def emit(self, event: BudgetAlert) -> None:
        """Tell it, once. Raises `StoreUnavailable`."""
        ...


class Meter(Protocol):
    """Where outcomes are kept."""

    async def record(self, outcome: Outcome) -> None:
        """Write the call's record, move its workspace's counters and settle its hold, in one transaction.

        Recording the same call again changes nothing. Raises `StoreUnavailable`.
        """
        ...


class ReasoningSignatures(Protocol):
    """The signed reasoning that led to tool calls, for clients that do not send it back."""

    async def find(self, workspace_id: str, tool_call_ids: Sequence[str]) -> dict[str, list[Json]]:
        """`reasoning_details` by the ids of the tool calls that they were kept for. Raises `StoreUnavailable`."""
        ...

    async def keep(self, workspace_id: str, tool_call_id: str, details: list[Json]) -> None:
        """Keep them for a day. What is too large to keep is not kept. Raises `StoreUnavailable`."""
        ...


class ReplyStore(Protocol):
    """Replies that may be given again, by what was asked for. Both raise `StoreUnavailable`."""

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """What the workspace has kept under that key, and is not over yet."""
        ...

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """Keep it so long, in the place of what was there; False where it is too large to keep."""
        ...


class IdempotencyClaims(Protocol):
    """Idempotency keys: who is at work on one, and the reply that came of it. All raise `StoreUnavailable`."""

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """Take the key, in one conditional write; or else the reply that it led to already.

        Raises `IdempotencyInFlight` while somebody else has it, and `IdempotencyKeyReused` for another body.
        """
        ...

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """Keep so long what came of it; False where it is too large to keep, or the claim is not ours any more."""
        ...

    async def release(self, claim: IdempotencyClaim) -> None:
        """Let others take the key at once, where it is ours."""
        ...


class Cooldowns(Protocol):
    """Where processes tell each other which deployments fail. They hear it when they read a key, at no further read."""

    async def tell(self, home: str | None, deployment_id: str, until: float) -> None:
        """A deployment of the gateway's, or of the workspace `home`, is best left alone until then (UTC seconds).

        What was told for longer stays. Raises `StoreUnavailable`.
        """
        ...


class Secrets(Protocol):
    """Providers' credentials, by the name of their setting."""

    async def get(self, name: str) -> str | None:
        """The secret's value, None when it is not set. Raises `StoreUnavailable`."""
        ...


class Vault(Protocol):
    """Credentials that workspaces brought, by the names of their settings. Both raise `StoreUnavailable`."""

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """The workspace's, none where it has none."""
        ...

    async def write(self, workspace_id: str, credentials: Mapping[str, str]) -> None:
        """Keep these in the place of those that were."""
        ...


class Tenants(Protocol):
    """Workspaces and keys, as an operator manages them. All raise `StoreUnavailable`."""

    async def put_workspace(self, workspace: Workspace) -> bool:
        """Create it; False when the id is taken, which then stays as it was."""
        ...

    async def get_workspace(self, workspace_id: str) -> Workspace | None: ...

    async def list_workspaces(self) -> Sequence[Workspace]:
        """All of them, by id."""
        ...

    async def set_workspace_status(self, workspace_id: str, status: WorkspaceStatus) -> bool:
        """False when there is no such workspace."""
        ...


class Keys(Protocol):
    """Virtual keys, as an operator manages them. All raise `StoreUnavailable`."""

    async def put_key(self, key: VirtualKey) -> bool:
        """Create it, listed under each of its workspaces; False when its hash or id is taken."""
        ...

    async def list_keys(self, workspace_id: str) -> Sequence[VirtualKey]:
        """The workspace's keys, revoked ones too, by id."""
        ...

    async def revoke_key(self, workspace_id: str, key_id: str) -> bool:
        """Revoke it everywhere, and delete what an OIDC subject has; False when the workspace has no such key."""
        ...


class UsageReader(Protocol):
    """The counters and records that the meter keeps, of all `shards` of a workspace. All raise `StoreUnavailable`."""

    async def counters(self, workspace_id: str, period: str, shards: int = 1) -> dict[str, int | str] | None:
        """The counters of "M#2026-11" or "D#2026-11-21": calls, input_tokens, …, cost_usd as a decimal string."""
        ...

    async def calls(self, workspace_id: str, limit: int, shards: int = 1) -> Sequence[dict[str, object]]:
        """The newest call records first."""
        ...

    async def days(
        self, workspace_id: str, first: str, last: str, shards: int = 1
    ) -> Mapping[str, Mapping[str, int | str]]:
        """The counters of the days from "2026-11-01" to "2026-11-30" on which there were calls, by day."""
        ...

    async def records(
        self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1
    ) -> Sequence[dict[str, object]]:
        """The records of calls whose ids lie between those two, neither included; the newest first."""
        ...
