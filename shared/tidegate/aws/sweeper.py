"""The sweeper: settles what is held for calls whose process died, tells of thresholds that no call has told of, and
forgets what accounts booked long ago.

A hold expires a minute after its call's deadline (`GRACE_SECONDS`), when nobody can be at work on it any more. With a
run every five minutes, it is settled six minutes after that deadline at the latest. Two sweepers at once do no harm,
nor does a process that settles late: whoever comes second is refused.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
from msgspec import Struct, field
from msgspec.structs import asdict, replace

from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import connect
from tidegate.aws.events import events_of
from tidegate.aws.expressions import F, Put, Update, UpdateExpression
from tidegate.aws.ledger import DynamoLedger, account_from, settling
from tidegate.aws.meter import settle
from tidegate.aws.store import Item, ItemKey, Refused, Store
from tidegate.aws.table import (
    KEYS_OF_WORKSPACE,
    WORKSPACES,
    account_at,
    call_at,
    key_from,
    workspace_at,
    workspace_from,
)
from tidegate.domain.account import Account, Hold, Scope, overdue, together
from tidegate.domain.budget_alerts import Watched
from tidegate.domain.limits import Amounts, is_long_over
from tidegate.domain.record import plain
from tidegate.domain.settlement import lost
from tidegate.domain.workspace import Workspace
from tidegate.errors import StoreUnavailable
from tidegate.policy.metering.alerts import LogEvents, warn
from tidegate.ports import Events
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import AwsIdentity, Credentials
from tidegate.transport.choose import transport

log = logging.getLogger(__name__)

STOPPED_AT = ItemKey("SWEEPER", "SWEEPER")
"""Where a run that did not reach the end says how far it came: `reached` is the sort key in `WORKSPACES`."""

RUN_SECONDS = 200.0
"""Of one run, less than the five minutes between two; the next one goes on where it stopped."""

BATCH = 25
"""Accounts in one read, which are 10 MB at most."""


class Swept(Struct):
    """What one run did. Not all `is_done` where its time was over before it had seen every workspace."""

    workspaces: int = 0
    lost: int = 0
    pruned: int = 0
    failed: int = 0
    is_done: bool = True


class Sweeper(Struct, frozen=True):
    """Walks all workspaces, their accounts and those of their keys. What fails for one is no matter to the others."""

    store: Store
    seconds: float = RUN_SECONDS
    monotonic: Callable[[], float] = time.monotonic

    events: Events = field(default_factory=LogEvents)

    async def run(self) -> Swept:
        """One walk, from where the last one stopped. Raises `StoreUnavailable` when the workspaces cannot be read."""
        ends = self.monotonic() + self.seconds
        swept = Swept()
        begins = reached = await self._stopped_at()
        for item in await self.store.query(WORKSPACES, "WS#"):
            at = str(item["sk"])
            if at <= begins:
                continue
            if not await self._workspace(item, swept, ends):
                swept.is_done = False
                break
            reached = at
        else:
            reached = ""
        if reached != begins:
            await self.store.write([Put(self.store.table, {**STOPPED_AT._asdict(), "reached": reached})])
        log.info("sweeper.ran", extra=asdict(swept))
        return swept

    async def _stopped_at(self) -> str:
        items = await self.store.read(STOPPED_AT)
        return next((str(item.get("reached", "")) for item in items.values()), "")

    async def _workspace(self, item: Item, swept: Swept, ends: float) -> bool:
        """False when the time was over before the workspace was done."""
        if self.monotonic() >= ends:
            return False
        swept.workspaces += 1
        try:
            return await self._accounts(workspace_from(item), swept, ends)
        except (StoreUnavailable, msgspec.ValidationError) as error:
            swept.failed += 1
            log.error("sweeper.failed", extra={"place": item["sk"], "error": type(error).__name__})
        return True

    async def _accounts(self, workspace: Workspace, swept: Swept, ends: float) -> bool:
        scopes = await self._scopes(workspace)
        places = list(scopes)
        parts: list[Account] = []
        for begin in range(0, len(places), BATCH):
            for at, item in (await self.store.read(*places[begin : begin + BATCH])).items():
                account = account_from(item)
                if not await self._account(at, account, swept, ends):
                    return False
                if scopes[at].kind == "workspace":
                    parts.append(account)
                else:
                    await self._warn(workspace, scopes[at], account)
        if parts:
            whole = Scope("workspace", workspace.id, workspace.effective_limits)
            await self._warn(workspace, whole, together(parts))
        return True

    async def _scopes(self, workspace: Workspace) -> dict[ItemKey, Scope]:
        keys = map(key_from, await self.store.query(workspace_at(workspace.id).pk, KEYS_OF_WORKSPACE))
        whole = Scope("workspace", workspace.id, workspace.effective_limits)
        return {
            **{account_at("workspace", workspace.id, shard): whole for shard in range(workspace.shards)},
            **{account_at("key", key.id): Scope("key", key.id, key.limits) for key in keys},
        }

    async def _account(self, at: ItemKey, account: Account, swept: Swept, ends: float) -> bool:
        for hold in overdue(account, self.store.clock()):
            if self.monotonic() >= ends:
                return False
            swept.lost += await self._settle(hold)
            del account.holds[hold.call_id]
        swept.pruned += await self._prune(at, account)
        return True

    async def _warn(self, workspace: Workspace, scope: Scope, account: Account) -> None:
        now = self.store.clock()
        seen = Watched(workspace.id, scope, account, now, workspace.first_day)
        await warn(DynamoLedger(self.store), self.events, seen, now)

    async def _settle(self, hold: Hold) -> bool:
        """Whether the call was lost: put on record here, with all that was held for it."""
        if await settle(self.store, lost(hold, self.store.clock())):
            log.warning("call.lost", extra=_figures(hold))
            return True
        return await self._release(hold)

    async def _release(self, hold: Hold) -> bool:
        """What was refused once: somebody has settled it, or its record is there and the hold should not be.

        So it is where a reservation was written and not confirmed, or where an account was made anew meanwhile.
        """
        record_at = call_at(hold.workspace_id, hold.call_id, hold.shard)
        accounts = {account_at(kind, _owner(hold, kind), hold.shard): kind for kind in hold.kinds}
        items = await self.store.read(record_at, *accounts)
        record = items.get(record_at)
        kinds = tuple(
            kind for at, kind in accounts.items() if at in items and hold.call_id in account_from(items[at]).holds
        )
        if not kinds:
            return False
        there = replace(hold, kinds=kinds)
        if record is None:
            return await settle(self.store, lost(there, self.store.clock()))
        try:
            await self.store.write(settling(self.store, there, _used(record), self.store.clock()))
        except Refused:  # settled between the two
            return False
        log.warning("hold.released", extra=_figures(hold))
        return False

    async def _prune(self, at: ItemKey, account: Account) -> bool:
        """Whether there was anything to forget."""
        now = self.store.clock()
        names = [name for name in account.booked if is_long_over(name.partition("#")[2], now)]
        if not names:
            return False
        change = _removal(names)
        try:
            await self.store.update(Update(self.store.table, dict(at._asdict()), change, F("holds").exists()))
        except Refused:  # the account was closed meanwhile
            return False
        return True


@asynccontextmanager
async def open_sweeper(settings: Settings, table_credentials: Credentials | None = None) -> AsyncGenerator[Sweeper]:
    """A sweeper of the settings' table, for as long as the context lives."""
    http = transport(settings.transport)
    try:
        credentials = find_credentials(settings.environment)
        aws = settings.aws
        client = connect(http, table_credentials or credentials, aws.region, aws.dynamodb_endpoint)
        told = events_of(settings, http, AwsIdentity(credentials, http))
        yield Sweeper(Store(client, settings.table), events=told)
    finally:
        await http.close()


def _removal(names: Iterable[str]) -> UpdateExpression:
    change = UpdateExpression()
    for name in names:
        change &= F(name).remove()
    return change


def _owner(hold: Hold, kind: str) -> str:
    return hold.workspace_id if kind == "workspace" else hold.key_id


def _used(record: Item) -> Amounts:
    tokens = sum(int(str(record.get(name) or 0)) for name in ("input_tokens", "output_tokens"))
    return Amounts(tokens, int(str(record.get("words") or 0)), Decimal(str(record.get("cost_usd") or 0)))


def _figures(hold: Hold) -> dict[str, object]:
    return {
        "call_id": hold.call_id,
        "workspace_id": hold.workspace_id,
        "key_id": hold.key_id,
        "model": hold.model,
        "tokens": hold.amounts.tokens,
        "words": hold.amounts.words,
        "cost_usd": plain(hold.amounts.usd),
    }
