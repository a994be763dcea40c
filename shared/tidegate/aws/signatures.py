"""Signed reasoning in the table: one item for each turn with tool calls, which expires after a day."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tidegate.aws.expressions import Put
from tidegate.aws.store import Store
from tidegate.aws.table import signature_item_key
from tidegate.json import Json, decode, encode

SIGNATURE_SECONDS = 86_400
MAX_BYTES = 300_000
"""Below the 400 KB that one item may hold."""


class DynamoReasoningSignatures(Struct, frozen=True):
    """The port `ReasoningSignatures`."""

    store: Store

    async def find(self, workspace_id: str, tool_call_ids: Sequence[str]) -> dict[str, list[Json]]:
        """See `ReasoningSignatures.find`: one read."""
        ids_by_key = {signature_item_key(workspace_id, tool_call_id): tool_call_id for tool_call_id in tool_call_ids}
        items = await self.store.read(*ids_by_key)
        found = {ids_by_key[item_key]: _parse_details(item.get("details")) for item_key, item in items.items()}
        return {tool_call_id: details for tool_call_id, details in found.items() if details}

    async def keep(self, workspace_id: str, tool_call_id: str, details: list[Json]) -> None:
        """See `ReasoningSignatures.keep`: one write. The JSON is stored as text, so that it is returned unchanged."""
        text = encode(details)
        if len(text) > MAX_BYTES:
            return
        item_key = signature_item_key(workspace_id, tool_call_id)
        item = {**item_key._asdict(), "details": text.decode(), "ttl": int(self.store.clock()) + SIGNATURE_SECONDS}
        await self.store.write([Put(self.store.table, item)])


def _parse_details(text: object) -> list[Json]:
    try:
        details = decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return []
    return details if isinstance(details, list) else []
