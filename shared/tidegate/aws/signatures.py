"""Signed reasoning in the table: one item for each turn with tool calls, which expires after a day."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from tidegate.aws.expressions import Attr, Put
from tidegate.aws.store import ConditionFailed, Store
from tidegate.aws.table import signature_item_key
from tidegate.json import Json, decode, encode
from tidegate.ports import SIGNATURE_SECONDS

MAX_BYTES = 300_000
"""Below the 400 KB that one item may hold."""


class DynamoReasoningSignatures(Struct, frozen=True):
    """The port `ReasoningSignatures`."""

    store: Store

    async def find(self, workspace_id: str, turns: Sequence[str]) -> dict[str, list[Json]]:
        """See `ReasoningSignatures.find`: one read."""
        turns_by_key = {signature_item_key(workspace_id, turn): turn for turn in turns}
        items = await self.store.read(*turns_by_key)
        found = {turns_by_key[item_key]: _parse_details(item.get("details")) for item_key, item in items.items()}
        return {turn: details for turn, details in found.items() if details}

    async def keep(self, workspace_id: str, turn: str, details: list[Json]) -> None:
        """See `ReasoningSignatures.keep`: one write. The JSON is stored as text, so that it is returned unchanged."""
        text = encode(details)
        if len(text) > MAX_BYTES:
            return
        now, digest = int(self.store.clock()), sha256(text).hexdigest()
        item: dict[str, object] = {
            **signature_item_key(workspace_id, turn)._asdict(),
            "details": text.decode(),
            "digest": digest,
            "ttl": now + SIGNATURE_SECONDS,
        }
        same_or_none = Attr("pk").does_not_exist() | Attr("digest").equals(digest) | Attr("ttl").lte(now)
        try:
            await self.store.put(Put(self.store.table, item, same_or_none))
        except ConditionFailed:
            await self.store.put(Put(self.store.table, {**item, "details": "", "digest": ""}))


def _parse_details(text: object) -> list[Json]:
    try:
        details = decode(text) if isinstance(text, str) and text else None
    except msgspec.DecodeError:
        return []
    return details if isinstance(details, list) else []
