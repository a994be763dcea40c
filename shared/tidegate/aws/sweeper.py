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
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.events import configured_budget_alerts
from tidegate.aws.expressions import Attr, Put, Update, UpdateExpression
from tidegate.aws.ledger import DynamoLedger, account_from_item, settlement_writes
from tidegate.aws.meter import write_settlement
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import (
    KEYS_PREFIX,
    WORKSPACES_PARTITION,
    account_item_key,
    call_item_key,
    key_from_item,
    workspace_from_item,
    workspace_item_key,
)
from tidegate.domain.account import Account, AccountScope, Hold, merge_shards, overdue_holds
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.limits import Amounts, is_period_forgotten
from tidegate.domain.record import plain_decimal
from tidegate.domain.settlement import lost_settlement
from tidegate.domain.workspace import Workspace
from tidegate.errors import StoreUnavailable
from tidegate.policy.metering.alerts import LogEvents, send_budget_alerts
from tidegate.ports import BudgetAlerts
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.choose import create_transport

log = logging.getLogger(__name__)

CHECKPOINT_ITEM_KEY = ItemKey("SWEEPER", "SWEEPER")
"""Where a run that did not reach the end says how far it came: `reached` is the sort key in `WORKSPACES`."""

RUN_SECONDS = 200.0
"""Of one run, less than the five minutes between two; the next one goes on where it stopped."""

ACCOUNTS_PER_READ = 25
"""Accounts in one read, which are 10 MB at most."""


class SweepResult(Struct):
    """What one run did. Not all `is_done` where its time was over before it had seen every workspace."""

    workspaces: int = 0
    lost: int = 0
    pruned: int = 0
    failed: int = 0
    is_done: bool = True


class Sweeper(Struct, frozen=True):
    """Walks all workspaces, their accounts and those of their keys. What fails for one is no matter to the others."""

    store: Store
    run_seconds: float = RUN_SECONDS
    monotonic: Callable[[], float] = time.monotonic

    events: BudgetAlerts = field(default_factory=LogEvents)

    async def run(self) -> SweepResult:
        """One walk, from where the last one stopped. Raises `StoreUnavailable` when the workspaces cannot be read."""
        ends = self.monotonic() + self.run_seconds
        swept = SweepResult()
        begins = reached = await self._read_checkpoint()
        for item in await self.store.query(WORKSPACES_PARTITION, "WS#"):
            at = str(item["sk"])
            if at <= begins:
                continue
            if not await self._sweep_workspace(item, swept, ends):
                swept.is_done = False
                break
            reached = at
        else:
            reached = ""
        if reached != begins:
            await self.store.write([Put(self.store.table, {**CHECKPOINT_ITEM_KEY._asdict(), "reached": reached})])
        log.info("sweeper.ran", extra=asdict(swept))
        return swept

    async def _read_checkpoint(self) -> str:
        items = await self.store.read(CHECKPOINT_ITEM_KEY)
        return next((str(item.get("reached", "")) for item in items.values()), "")

    async def _sweep_workspace(self, item: Item, swept: SweepResult, ends: float) -> bool:
        """False when the time was over before the workspace was done."""
        if self.monotonic() >= ends:
            return False
        swept.workspaces += 1
        try:
            return await self._sweep_accounts(workspace_from_item(item), swept, ends)
        except (StoreUnavailable, msgspec.ValidationError) as error:
            swept.failed += 1
            log.error("sweeper.failed", extra={"place": item["sk"], "error": type(error).__name__})
        return True

    async def _sweep_accounts(self, workspace: Workspace, swept: SweepResult, ends: float) -> bool:
        scopes = await self._account_scopes(workspace)
        places = list(scopes)
        parts: list[Account] = []
        for begin in range(0, len(places), ACCOUNTS_PER_READ):
            for at, item in (await self.store.read(*places[begin : begin + ACCOUNTS_PER_READ])).items():
                account = account_from_item(item)
                if not await self._sweep_account(at, account, swept, ends):
                    return False
                if scopes[at].kind == "workspace":
                    parts.append(account)
                else:
                    await self._send_alerts(workspace, scopes[at], account)
        if parts:
            whole = AccountScope("workspace", workspace.id, workspace.effective_limits)
            await self._send_alerts(workspace, whole, merge_shards(parts))
        return True

    async def _account_scopes(self, workspace: Workspace) -> dict[ItemKey, AccountScope]:
        keys = map(key_from_item, await self.store.query(workspace_item_key(workspace.id).pk, KEYS_PREFIX))
        whole = AccountScope("workspace", workspace.id, workspace.effective_limits)
        return {
            **{account_item_key("workspace", workspace.id, shard): whole for shard in range(workspace.shards)},
            **{account_item_key("key", key.id): AccountScope("key", key.id, key.limits) for key in keys},
        }

    async def _sweep_account(self, at: ItemKey, account: Account, swept: SweepResult, ends: float) -> bool:
        for hold in overdue_holds(account, self.store.clock()):
            if self.monotonic() >= ends:
                return False
            swept.lost += await self._settle_lost(hold)
            del account.holds[hold.call_id]
        swept.pruned += await self._prune_account(at, account)
        return True

    async def _send_alerts(self, workspace: Workspace, scope: AccountScope, account: Account) -> None:
        now = self.store.clock()
        seen = AccountSnapshot(workspace.id, scope, account, now, workspace.first_day)
        await send_budget_alerts(DynamoLedger(self.store), self.events, seen, now)

    async def _settle_lost(self, hold: Hold) -> bool:
        """Whether the call was lost: put on record here, with all that was held for it."""
        if await write_settlement(self.store, lost_settlement(hold, self.store.clock())):
            log.warning("call.lost", extra=_log_fields(hold))
            return True
        return await self._release_stale(hold)

    async def _release_stale(self, hold: Hold) -> bool:
        """What was refused once: somebody has settled it, or its record is there and the hold should not be.

        So it is where a reservation was written and not confirmed, or where an account was made anew meanwhile.
        """
        record_at = call_item_key(hold.workspace_id, hold.call_id, hold.shard)
        accounts = {account_item_key(kind, _account_id(hold, kind), hold.shard): kind for kind in hold.account_kinds}
        items = await self.store.read(record_at, *accounts)
        record = items.get(record_at)
        kinds = tuple(
            kind for at, kind in accounts.items() if at in items and hold.call_id in account_from_item(items[at]).holds
        )
        if not kinds:
            return False
        there = replace(hold, account_kinds=kinds)
        if record is None:
            return await write_settlement(self.store, lost_settlement(there, self.store.clock()))
        try:
            await self.store.write(settlement_writes(self.store, there, _recorded_amounts(record), self.store.clock()))
        except ConditionFailed:  # settled between the two
            return False
        log.warning("hold.released", extra=_log_fields(hold))
        return False

    async def _prune_account(self, at: ItemKey, account: Account) -> bool:
        """Whether there was anything to forget."""
        now = self.store.clock()
        names = [name for name in account.booked if is_period_forgotten(name.partition("#")[2], now)]
        if not names:
            return False
        change = _remove_all(names)
        try:
            await self.store.update(Update(self.store.table, dict(at._asdict()), change, Attr("holds").exists()))
        except ConditionFailed:  # the account was closed meanwhile
            return False
        return True


@asynccontextmanager
async def open_sweeper(settings: Settings, table_credentials: Credentials | None = None) -> AsyncGenerator[Sweeper]:
    """A sweeper of the settings' table, for as long as the context lives."""
    http = create_transport(settings.transport)
    try:
        credentials = find_credentials(settings.environment)
        aws = settings.aws
        client = create_dynamo_client(http, table_credentials or credentials, aws.region, aws.dynamodb_endpoint)
        told = configured_budget_alerts(settings, http, SigningKeys(credentials, http))
        yield Sweeper(Store(client, settings.table), events=told)
    finally:
        await http.close()


def _remove_all(names: Iterable[str]) -> UpdateExpression:
    change = UpdateExpression()
    for name in names:
        change &= Attr(name).remove()
    return change


def _account_id(hold: Hold, kind: str) -> str:
    return hold.workspace_id if kind == "workspace" else hold.key_id


def _recorded_amounts(record: Item) -> Amounts:
    tokens = sum(int(str(record.get(name) or 0)) for name in ("input_tokens", "output_tokens"))
    return Amounts(tokens, int(str(record.get("words") or 0)), Decimal(str(record.get("cost_usd") or 0)))


def _log_fields(hold: Hold) -> dict[str, object]:
    return {
        "call_id": hold.call_id,
        "workspace_id": hold.workspace_id,
        "key_id": hold.key_id,
        "model": hold.model,
        "tokens": hold.amounts.tokens,
        "words": hold.amounts.words,
        "cost_usd": plain_decimal(hold.amounts.usd),
    }
