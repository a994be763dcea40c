"""Files, uploads, batches and their parts in the table.

| attribute | content |
|---|---|
| `value` | the value as JSON, small enough that a part or an ordinary batch costs one write unit |
| `version` | the version of the value, which the next write must name |
| `token` | a random name of the write, by which a repetition knows that its first try was made and its answer lost |
| `ttl` | when the value expires; absent if it is kept |

One value is written by one `PutItem`, several by one transaction. A batch is written together with its entry among the
open batches when it is created and when it becomes terminal.
"""

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.aws.expressions import Attr, Condition, Delete, Put
from tidegate.aws.store import MAX_TRANSACTION_ITEMS, ConditionFailed, Item, ItemKey, Store, Write
from tidegate.aws.table import (
    BATCHES_PREFIX,
    FILES_PREFIX,
    MAX_ID,
    OPEN_BATCHES_PARTITION,
    PARTS_PREFIX,
    UPLOADS_PREFIX,
    batch_item_key,
    batches_partition,
    file_item_key,
    files_partition,
    once_item_key,
    open_batch_item_key,
    pace_item_key,
    part_item_key,
    upload_item_key,
)
from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch, Part, StoredFile, Upload
from tidegate.domain.batch_retention import kept_until, may_have_parts
from tidegate.domain.provider_pace import ProviderPace
from tidegate.errors import StoreUnavailable

MIN_PAGE = 100
"""Items that are read at once where only some of them are wanted."""

_LAST_CHARACTER = "\U0010ffff"

_Value = StoredFile | Upload | Batch | Part | ProviderPace
_T = TypeVar("_T", StoredFile, Upload, Batch, Part, ProviderPace)

_DECODERS: Mapping[type, Callable[[str], Any]] = {
    kind: msgspec.json.Decoder(kind).decode for kind in (StoredFile, Upload, Batch, Part, ProviderPace)
}


class DynamoBatchTable(Struct, frozen=True):
    """The port `BatchTable`, and `WorkspaceBatches` of the control plane."""

    store: Store

    async def find_file(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """See `BatchTable.find_file`."""
        return await self._find(StoredFile, file_item_key(workspace_id, file_id))

    async def list_files(self, workspace_id: str, page: Page, purpose: str | None = None) -> Sequence[StoredFile]:
        """See `BatchTable.list_files`. Files of other purposes are read and left out."""
        pk, files = files_partition(workspace_id), list[StoredFile]()
        part = page if purpose is None else replace(page, limit=max(page.limit, MIN_PAGE))
        while True:
            found = await self._list(StoredFile, pk, FILES_PREFIX, part)
            files += [file for file in found if purpose in (None, file.purpose)]
            if len(files) >= page.limit or len(found) < part.limit:
                return files[: page.limit]
            part = replace(part, after=found[-1].id)

    async def delete_file(self, file: StoredFile) -> bool:
        """See `BatchTable.delete_file`."""
        item_key = file_item_key(file.workspace_id, file.id)
        is_stored = Attr("pk").exists() & _has_not_expired(self.store.clock())
        delete = Delete(self.store.table, dict(item_key._asdict()), is_stored)
        try:
            await self.store.write([delete], token=_random_token())
        except ConditionFailed:
            return False
        return True

    async def find_upload(self, workspace_id: str, upload_id: str) -> Upload | None:
        """See `BatchTable.find_upload`."""
        return await self._find(Upload, upload_item_key(workspace_id, upload_id))

    async def list_uploads(self, workspace_id: str, page: Page) -> Sequence[Upload]:
        """See `BatchTable.list_uploads`."""
        return await self._list(Upload, files_partition(workspace_id), UPLOADS_PREFIX, page)

    async def find_batch(self, workspace_id: str, batch_id: str) -> Batch | None:
        """The workspace's batch."""
        return await self._find(Batch, batch_item_key(workspace_id, batch_id))

    async def list_batches(self, workspace_id: str, page: Page) -> Sequence[Batch]:
        """See `BatchTable.list_batches`."""
        return await self._list(Batch, batches_partition(workspace_id), BATCHES_PREFIX, page)

    async def find_parts(self, batch: Batch, numbers: Sequence[int]) -> Mapping[int, Part]:
        """See `BatchTable.find_parts`."""
        items = await self.store.read_all([part_item_key(batch.id, number) for number in dict.fromkeys(numbers)])
        parts = (_value_of(item, Part) for item in items.values())
        return {part.number: part for part in parts if part.workspace_id == batch.workspace_id}

    async def open_batches(self) -> Sequence[Batch]:
        """See `BatchTable.open_batches`. Reads their entries, and then the batches."""
        entries = await self.store.query(OPEN_BATCHES_PARTITION, "WS#")
        item_keys = [batch_item_key(str(entry["workspace_id"]), str(entry["id"])) for entry in entries]
        batches = (_value_of(item, Batch) for item in (await self.store.read_all(item_keys)).values())
        return [batch for batch in batches if not batch.is_terminal]

    async def find_pace(self, provider: str) -> ProviderPace:
        """See `BatchTable.find_pace`."""
        return await self._find(ProviderPace, pace_item_key(provider)) or ProviderPace(provider)

    async def save(self, *values: _Value) -> bool:
        """See `BatchTable.save`."""
        token = _random_token()
        writes = [write for value in values for write in self._writes(value, token)]
        return not writes or await self._write(writes, token, _item_key(values[0]))

    async def claim_once(self, claim: str, seconds: float) -> bool:
        """See `BatchTable.claim_once`. The time is rounded up to whole seconds."""
        token, now = _random_token(), self.store.clock()
        item_key = once_item_key(claim)
        item = {**item_key._asdict(), "token": token, "ttl": math.ceil(now + seconds)}
        return await self._write([Put(self.store.table, item, _has_version(0, now))], token, item_key)

    async def open_batch_ids(self, workspace_id: str) -> Sequence[str]:
        """See `WorkspaceBatches.open_batch_ids`."""
        entries = await self.store.query(OPEN_BATCHES_PARTITION, open_batch_item_key(workspace_id, "").sk)
        return [str(entry["id"]) for entry in entries]

    async def delete_all(self, workspace_id: str) -> None:
        """See `WorkspaceBatches.delete_all`. A batch goes after its parts, so that a repetition finds the rest."""
        for prefix in (FILES_PREFIX, UPLOADS_PREFIX):
            await self._delete(await self.store.query(files_partition(workspace_id), prefix))
        while items := await self.store.query(batches_partition(workspace_id), BATCHES_PREFIX, limit=MIN_PAGE):
            for batch in (_value_of(item, Batch) for item in items):
                if may_have_parts(batch, self.store.clock()):
                    await self._delete(await self.store.query(part_item_key(batch.id, 0).pk, PARTS_PREFIX))
                if not batch.is_terminal:
                    await self._delete([open_batch_item_key(workspace_id, batch.id)._asdict()])
            await self._delete(items)

    async def _delete(self, items: Sequence[Item]) -> None:
        deletes = [Delete(self.store.table, {name: item[name] for name in ItemKey._fields}) for item in items]
        for begin in range(0, len(deletes), MAX_TRANSACTION_ITEMS):
            await self.store.write(deletes[begin : begin + MAX_TRANSACTION_ITEMS])

    async def _find(self, kind: type[_T], item_key: ItemKey) -> _T | None:
        if not all(part.isascii() and len(part) <= MAX_ID for part in item_key):
            return None
        items = await self.store.read(item_key)
        return next((_value_of(item, kind) for item in items.values()), None)

    async def _list(self, kind: type[_T], pk: str, prefix: str, page: Page) -> list[_T]:
        low, high = prefix, prefix + _LAST_CHARACTER
        after = prefix + page.after[:MAX_ID] if page.after else None
        if after is not None:
            low, high = (after, high) if page.is_ascending else (low, after)
        # The range includes its ends, which the caller does not want.
        items = await self.store.query_range(pk, low, high, limit=page.limit + 1, newest_first=not page.is_ascending)
        return [_value_of(item, kind) for item in items if item["sk"] != after][: page.limit]

    def _writes(self, value: _Value, token: str) -> Iterator[Write]:
        now, table, item_key = self.store.clock(), self.store.table, _item_key(value)
        stored = replace(value, version=value.version + 1)
        item = {**item_key._asdict(), "value": msgspec.json.encode(stored).decode(), "version": stored.version}
        until = kept_until(value, now)
        expiry = {} if until is None else {"ttl": math.ceil(until)}
        yield Put(table, {**item, "token": token, **expiry}, _has_version(value.version, now))
        if not isinstance(value, Batch):
            return
        open_key = dict(open_batch_item_key(value.workspace_id, value.id)._asdict())
        if value.is_terminal:
            yield Delete(table, open_key)
        elif value.version == 0:
            yield Put(table, {**open_key, "workspace_id": value.workspace_id, "id": value.id})

    async def _write(self, writes: Sequence[Write], token: str, first: ItemKey) -> bool:
        """Make all writes or none; False if a condition does not hold, unless a lost try of this write was made."""
        try:
            if len(writes) == 1:
                # A single write is that of the value: a deletion never comes without it.
                await self.store.put(cast(Put, writes[0]))
            else:
                await self.store.write(writes, token=token)
        except ConditionFailed:
            stored = (await self.store.read(first)).get(first) if len(writes) == 1 else None
            return stored is not None and stored.get("token") == token
        return True


def _item_key(value: _Value) -> ItemKey:
    match value:
        case StoredFile():
            return file_item_key(value.workspace_id, value.id)
        case Upload():
            return upload_item_key(value.workspace_id, value.id)
        case Batch():
            return batch_item_key(value.workspace_id, value.id)
        case Part():
            return part_item_key(value.batch_id, value.number)
        case ProviderPace():
            return pace_item_key(value.provider)


def _value_of(item: Item, kind: type[_T]) -> _T:
    try:
        # The decoder is that of the kind.
        return cast(_T, _DECODERS[kind](str(item["value"])))
    except (KeyError, msgspec.MsgspecError) as error:
        raise StoreUnavailable(f"An item in the table is not a valid {kind.__name__}.") from error


def _has_version(version: int, now: float) -> Condition:
    """The condition that the value has this version and has not expired; 0 is that of a value which does not exist."""
    if version == 0:
        return Attr("pk").does_not_exist() | Attr("ttl").lte(now)
    return Attr("version").equals(version) & _has_not_expired(now)


def _has_not_expired(now: float) -> Condition:
    return Attr("ttl").does_not_exist() | Attr("ttl").gt(now)


def _random_token() -> str:
    return secrets.token_urlsafe(9)
