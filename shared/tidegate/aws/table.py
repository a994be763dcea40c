"""The keys of all items in the table, and the conversion between items and values.

| item | pk | sk |
|---|---|---|
| a virtual key | `KEY#<sha-256 of the secret>` | `KEY` |
| an OIDC subject's grant | `OIDC#<sha-256 of issuer and subject>` | `WS#<id>` for each workspace, or `OIDC` |
| a workspace | `WORKSPACE#<id>` | `WS` |
| a workspace, for listing | `WORKSPACES` | `WS#<id>` |
| a workspace's key, for listing | `WORKSPACE#<id>` | `KEY#<key id>` |
| usage counters of a day, and of an hour | `WS#<id>` | `USE#D#2026-11-21`, `USE#D#2026-11-21T12` |
| a call record | `WS#<id>` | `CALL#<ulid>` |
| an aggregate of call records, by hour and by day | `STATS#<workspace id>` | `HOUR#2026-11-21T12`, `DAY#2026-11-21` |
| how far the aggregates are, and a part of an hour | `STATS#<workspace id>` | `PROGRESS`, `PART` |
| an account of limits | `WS#<id>`, `ACCOUNT#<key id>` | `ACCOUNT` |
| signed reasoning before a tool call | `WS#<id>` | `TURN#<sha-256 of the conversation>` |
| a stored reply | `WS#<id>` | `CACHE#<sha-256 of the request>` |
| an idempotency key | `WS#<id>` | `IDEM#<sha-256 of the key>` |
| the encrypted trace of a call | `TRACES#<workspace id>` | `TRACE#<ulid>` |
| the keys that encrypt a workspace's traces | `TRACES#<workspace id>` | `KEY` |
| an encrypted response, a conversation | `RESPONSES#<workspace id>` | `RESPONSE#<id>` |
| the keys that encrypt a workspace's responses | `RESPONSES#<workspace id>` | `KEY` |
| deployments that cool down | `HEALTH`, `WS#<id>` | `HEALTH` |
| a plan | `PLANS` | `PLAN#<id>` |
| an admin key | `ADMINS` | `ADMIN#<id>` |
| a workspace's member | `WORKSPACE#<id>` | `MEMBER#<subject>` |
| an audit entry, in the global log and its workspaces' | `AUDIT`, `WORKSPACE#<id>` | `AUDIT#<ulid>` |
| the progress of the sweeper, and of the roller | `SWEEPER` | `SWEEPER`, `ROLLER` |
| a file, an upload | `FILES#<workspace id>` | `FILE#<id>`, `UPLOAD#<id>` |
| a batch | `BATCHES#<workspace id>` | `BATCH#<id>` |
| a batch that is not terminal, for listing | `OPENBATCHES` | `WS#<workspace id>#<id>` |
| a part of a batch | `BATCH#<id>` | `PART#<six digits>` |
| the pace of batches at a provider | `OPENBATCHES` | `PACE#<provider>` |
| a name that is claimed once | `CLAIM#<sha-256 of the name>` | `CLAIM` |
Counters of months, `USE#M#2026-11`, are from the time when each settlement was one transaction.
A grant with the sort key `OIDC` is from the time when a subject had one grant in the whole gateway.
A rotated key has a second `KEY#…` item with the hash of its previous secret, until that secret expires.
A busy workspace has shards: its calls, counters and account are in `WS#<id>`, `WS#<id>#1`, `WS#<id>#2`, …
IAM tells items apart by their partition keys alone, so no partition has both items that calls write and items that only
the control plane may write: template.yaml lists the partitions that each function may read and write.
`domain.batch_retention` says how long files, uploads, batches and parts are kept.
"""

import hashlib
from decimal import Decimal
from typing import TypeVar, cast

import msgspec

from tidegate.aws.dynamo import Backoff, DynamoError, TableClient
from tidegate.aws.expressions import Payload
from tidegate.aws.store import Item, ItemKey
from tidegate.domain.account import Hold, ScopeKind
from tidegate.domain.keys import is_only_grant, is_subject_key, previous_key
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable

WORKSPACES_PARTITION = "WORKSPACES"
KEYS_PREFIX = "KEY#"
CALLS_PREFIX = "CALL#"
TURNS_PREFIX = "TURN#"
REPLIES_PREFIX = "CACHE#"
TRACES_PREFIX, RESPONSES_PREFIX = "TRACE#", "RESPONSE#"
FILES_PREFIX, UPLOADS_PREFIX, BATCHES_PREFIX, PARTS_PREFIX = "FILE#", "UPLOAD#", "BATCH#", "PART#"
OPEN_BATCHES_PARTITION = "OPENBATCHES"
MAX_ID = 128
"""Characters of an id in batches. All are shorter; DynamoDB refuses a sort key of more than 1,024 bytes."""
COOLDOWNS_ITEM_KEY = ItemKey("HEALTH", "HEALTH")
COUNTED_HOURLY = "hourly"
"""The attribute of a record whose call was counted in its hour: the name of the write, which no other has."""

_T = TypeVar("_T")


def virtual_key_item_key(key_hash: str) -> ItemKey:
    return ItemKey(f"KEY#{key_hash}", "KEY")


def only_grant_item_key(subject_hash: str) -> ItemKey:
    return ItemKey(subject_partition(subject_hash), "OIDC")


def grant_item_key(subject_hash: str, workspace_id: str) -> ItemKey:
    return ItemKey(subject_partition(subject_hash), f"WS#{workspace_id}")


def subject_partition(subject_hash: str) -> str:
    return f"OIDC#{subject_hash}"


def workspace_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(f"WORKSPACE#{workspace_id}", "WS")


def workspace_cooldowns_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(workspace_partition(workspace_id), "HEALTH")


def listed_workspace_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(WORKSPACES_PARTITION, f"WS#{workspace_id}")


def listed_key_item_key(workspace_id: str, key_id: str) -> ItemKey:
    return ItemKey(workspace_item_key(workspace_id).pk, f"{KEYS_PREFIX}{key_id}")


def counters_item_key(workspace_id: str, period: str, shard: int = 0) -> ItemKey:
    return ItemKey(workspace_partition(workspace_id, shard), f"USE#{period}")


def call_item_key(workspace_id: str, call_id: str, shard: int = 0) -> ItemKey:
    return ItemKey(workspace_partition(workspace_id, shard), f"{CALLS_PREFIX}{call_id}")


def aggregates_partition(workspace_id: str) -> str:
    return f"STATS#{workspace_id}"


def aggregate_item_key(workspace_id: str, name: str) -> ItemKey:
    """The key of the aggregate of an hour ("2026-11-21T12") or a day ("2026-11-21")."""
    return ItemKey(aggregates_partition(workspace_id), f"{'HOUR' if 'T' in name else 'DAY'}#{name}")


def roll_progress_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(aggregates_partition(workspace_id), "PROGRESS")


def roll_part_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(aggregates_partition(workspace_id), "PART")


def account_item_key(kind: ScopeKind, id: str, shard: int = 0) -> ItemKey:
    return ItemKey(workspace_partition(id, shard) if kind == "workspace" else f"ACCOUNT#{id}", "ACCOUNT")


def hold_item_keys(hold: Hold) -> dict[ScopeKind, ItemKey]:
    """The keys of the accounts in which a hold is booked."""
    ids: dict[ScopeKind, str] = {"workspace": hold.workspace_id, "key": hold.key_id}
    return {kind: account_item_key(kind, ids[kind], hold.shard) for kind in hold.account_kinds}


def workspace_partition(workspace_id: str, shard: int = 0) -> str:
    """The partition of a workspace's calls, counters and account."""
    return f"WS#{workspace_id}#{shard}" if shard else f"WS#{workspace_id}"


def workspace_partitions(workspace_id: str, shards: int) -> list[str]:
    return [workspace_partition(workspace_id, shard) for shard in range(shards)]


def signature_item_key(workspace_id: str, turn: str) -> ItemKey:
    return ItemKey(f"WS#{workspace_id}", f"{TURNS_PREFIX}{turn}")


def reply_item_key(workspace_id: str, key: str) -> ItemKey:
    return ItemKey(f"WS#{workspace_id}", f"{REPLIES_PREFIX}{key}")


def traces_partition(workspace_id: str) -> str:
    return f"TRACES#{workspace_id}"


def trace_item_key(workspace_id: str, call_id: str) -> ItemKey:
    return ItemKey(traces_partition(workspace_id), f"{TRACES_PREFIX}{call_id}")


def trace_keys_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(traces_partition(workspace_id), "KEY")


def responses_partition(workspace_id: str) -> str:
    return f"RESPONSES#{workspace_id}"


def response_keys_item_key(workspace_id: str) -> ItemKey:
    return ItemKey(responses_partition(workspace_id), "KEY")


def claim_item_key(workspace_id: str, key: str) -> ItemKey:
    return ItemKey(f"WS#{workspace_id}", f"IDEM#{key}")


def file_item_key(workspace_id: str, file_id: str) -> ItemKey:
    return ItemKey(files_partition(workspace_id), f"{FILES_PREFIX}{file_id}")


def upload_item_key(workspace_id: str, upload_id: str) -> ItemKey:
    return ItemKey(files_partition(workspace_id), f"{UPLOADS_PREFIX}{upload_id}")


def files_partition(workspace_id: str) -> str:
    return f"FILES#{workspace_id}"


def batch_item_key(workspace_id: str, batch_id: str) -> ItemKey:
    return ItemKey(batches_partition(workspace_id), f"{BATCHES_PREFIX}{batch_id}")


def batches_partition(workspace_id: str) -> str:
    return f"BATCHES#{workspace_id}"


def open_batch_item_key(workspace_id: str, batch_id: str) -> ItemKey:
    return ItemKey(OPEN_BATCHES_PARTITION, f"WS#{workspace_id}#{batch_id}")


def part_item_key(batch_id: str, number: int) -> ItemKey:
    return ItemKey(f"{BATCHES_PREFIX}{batch_id}", f"{PARTS_PREFIX}{number:06}")


def pace_item_key(provider: str) -> ItemKey:
    return ItemKey(OPEN_BATCHES_PARTITION, f"PACE#{provider}")


def once_item_key(claim: str) -> ItemKey:
    """The key of a claimed name, which may be as long as the key of an object."""
    return ItemKey(f"CLAIM#{hashlib.sha256(claim.encode('utf-8', 'backslashreplace')).hexdigest()}", "CLAIM")


def key_items(key: VirtualKey) -> dict[ItemKey, VirtualKey]:
    """The items of a key: one for each of its secrets, and one in the list of each of its workspaces.

    A subject's grant has one for each workspace instead of a secret's: a second grant for the workspace collides.
    """
    items = dict.fromkeys(_credential_item_keys(key), key)
    previous = previous_key(key)
    if previous is not None:
        items[virtual_key_item_key(previous.hash)] = previous
    return items | {listed_key_item_key(workspace_id, key.id): key for workspace_id in key.workspace_ids}


def _credential_item_keys(key: VirtualKey) -> list[ItemKey]:
    if not is_subject_key(key):
        return [virtual_key_item_key(key.hash)]
    if is_only_grant(key):
        return [only_grant_item_key(key.hash)]
    return [grant_item_key(key.hash, workspace_id) for workspace_id in key.workspace_ids]


def to_item(item_key: ItemKey, value: object) -> dict[str, object]:
    """The item with that key that holds the fields of `value` by their names."""
    fields: dict[str, object] = msgspec.to_builtins(value, builtin_types=(Decimal,))
    return {**item_key._asdict(), **{name: _without_nulls(field) for name, field in fields.items()}}


def _without_nulls(field: object) -> object:
    """A nested mapping without its null values, e.g. only the limits that are set."""
    if not isinstance(field, dict):
        return field
    return {name: value for name, value in cast("dict[str, object]", field).items() if value is not None}


def workspace_from_item(item: Item) -> Workspace:
    return value_from_item(item, Workspace)


def key_from_item(item: Item) -> VirtualKey:
    return value_from_item(item, VirtualKey)


def value_from_item(item: Item, kind: type[_T]) -> _T:
    """The value that an item holds. Unknown fields are ignored, because a newer version may have written them."""
    try:
        return msgspec.convert(decimals_to_int(item), kind)
    except msgspec.ValidationError as error:
        raise StoreUnavailable(f"An item in the table is not a valid {kind.__name__}.") from error


def decimals_to_int(value: object) -> object:
    """The value with whole numbers as integers: DynamoDB has only one type of number."""
    match value:
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case dict():
            return {name: decimals_to_int(each) for name, each in cast("dict[str, object]", value).items()}
        case list():
            return [decimals_to_int(each) for each in cast("list[object]", value)]
        case _:
            return value


async def create_table(client: TableClient, name: str) -> None:
    """Create the table with its `ttl`, for local use; an existing one stays as it is. Raises `DynamoError`."""
    keys = ("pk", "HASH"), ("sk", "RANGE")
    table: Payload = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys],
    }
    try:
        await client.call("CreateTable", table)
    except DynamoError as error:
        if error.code not in ("ResourceInUseException", "TableAlreadyExistsException"):
            raise
        return
    await _wait_until_active(client, name)
    ttl: Payload = {"TableName": name, "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True}}
    try:
        await client.call("UpdateTimeToLive", ttl)
    except DynamoError as error:  # another process created the table at the same time, and has enabled it
        if error.code != "ValidationException":
            raise


async def _wait_until_active(client: TableClient, name: str) -> None:
    for delay in Backoff(tries=20).delays():
        match await client.call("DescribeTable", {"TableName": name}):
            case {"Table": {"TableStatus": "ACTIVE"}}:
                return
            case _ if delay is None:
                raise TimeoutError(f"The table {name!r} did not become active in time.")
            case _:
                await client.backoff.sleep(delay or 0)
