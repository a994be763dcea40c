"""Data keys of traces: one for each workspace, in the table, wrapped by KMS where the settings name a KMS key.

| attribute | content |
|---|---|
| `version` | the version of the newest key; it stays when the keys are destroyed, so that no version comes twice |
| `keys` | by version, `key`: the data key, and `kms_key`: the KMS key that wraps it, absent if none does |

A workspace gets a key with its first trace, and another one when the settings name another KMS key, or none.

Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html and …/API_Decrypt.html (2026-11)
"""

import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field

from tidegate.aws.dynamo import Backoff
from tidegate.aws.expressions import Attr, Put, Update
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import trace_keys_item_key, value_from_item
from tidegate.domain.redacted import Redacted
from tidegate.domain.timed_cache import TimedCache
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import JsonObject, encode
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts

UNWRAPPED_SECONDS = 300.0
"""How long a process remembers a data key that KMS has unwrapped. The table says at every use if it still exists."""

MAX_UNWRAPPED_KEYS = 1_000
_KEY_BYTES = 32
_TRIES = 5
_THROTTLED = "ThrottlingException"
_TIMEOUTS = Timeouts(total=1.0)
"""With three tries, less than the seconds that a call waits for its trace."""


class DataKey(Redacted, Struct, frozen=True):
    """A data key of a workspace."""

    version: int
    secret: bytes


class StoredKey(Redacted, Struct, frozen=True):
    """A data key as it is in the table: wrapped by `kms_key`, or as it is."""

    key: bytes
    kms_key: str | None = None


class StoredKeys(Struct, frozen=True):
    """The keys of a workspace by version. There are none before the first trace, and once they are destroyed."""

    version: int = 0
    keys: dict[str, StoredKey] = field(default_factory=dict[str, StoredKey])


class _DataKeyReply(Redacted, Struct, frozen=True, rename="pascal"):
    plaintext: str
    ciphertext_blob: str = ""


class KmsKey(Struct, frozen=True):
    """A KMS key, which wraps data keys. Each is bound to its workspace by the encryption context."""

    service: AwsService
    id: str
    backoff: Backoff = Backoff(tries=3)

    async def create_data_key(self, workspace_id: str) -> tuple[bytes, bytes]:
        """Return a new data key, and the same wrapped. Raises `StoreUnavailable`."""
        reply = await self._call("GenerateDataKey", workspace_id, {"KeyId": self.id, "KeySpec": "AES_256"})
        return _decode(reply.plaintext), _decode(reply.ciphertext_blob)

    async def unwrap(self, workspace_id: str, stored_key: StoredKey) -> bytes:
        """Return the data key. Raises `StoreUnavailable`, also if its KMS key is disabled or deleted."""
        fields: JsonObject = {"CiphertextBlob": b64encode(stored_key.key).decode(), "KeyId": stored_key.kms_key}
        return _decode((await self._call("Decrypt", workspace_id, fields)).plaintext)

    async def _call(self, action: str, workspace_id: str, fields: JsonObject) -> _DataKeyReply:
        body = encode({**fields, "EncryptionContext": {"workspace": workspace_id}})
        for delay in self.backoff.delays():
            try:
                status, answer = await self.service.post(f"TrentService.{action}", body, _TIMEOUTS)
            except (UpstreamError, TimeoutError) as error:
                if delay is None:
                    message = "KMS does not answer; try again in a moment."
                    raise StoreUnavailable(message, retry_after_seconds=1) from error
            else:
                reply = _parse_reply(status, answer)
                if isinstance(reply, _DataKeyReply):
                    return reply
                if delay is None or (status < 500 and reply != _THROTTLED):
                    raise StoreUnavailable(f"KMS answered with {status} {reply}.")
            await self.backoff.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")


def _parse_reply(status: int, answer: bytes) -> _DataKeyReply | str:
    """Return the data key, or the name of AWS's error. Its message is left out, because it names the account."""
    try:
        if status == 200:
            return msgspec.json.decode(answer, type=_DataKeyReply)
        return str(msgspec.json.decode(answer, type=dict[str, object]).get("__type")).rpartition("#")[2]
    except msgspec.DecodeError:
        return "in an unknown form"


class TraceKeys:
    """The data keys of all workspaces. Methods raise `StoreUnavailable`."""

    def __init__(
        self, store: Store, kms_key: KmsKey | None = None, item_key: Callable[[str], ItemKey] = trace_keys_item_key
    ) -> None:
        """Take the item of a workspace's keys from `item_key`: there is one for each kind of contents."""
        self._store, self._kms_key, self.item_key = store, kms_key, item_key
        self._unwrapped = TimedCache[tuple[str, bytes], bytes](MAX_UNWRAPPED_KEYS, wall=store.clock)

    async def find_or_create(self, workspace_id: str) -> DataKey:
        """Return the key for new traces. Processes that create one at the same time get the same."""
        item_key = self.item_key(workspace_id)
        for _ in range(_TRIES):
            stored_keys = _parse_keys((await self._store.read(item_key)).get(item_key))
            stored_key = stored_keys.keys.get(str(stored_keys.version))
            if stored_key is not None and stored_key.kms_key == (self._kms_key and self._kms_key.id):
                return DataKey(stored_keys.version, await self._unwrap(workspace_id, stored_key))
            data_key = await self._create(workspace_id, stored_keys)
            if data_key is not None:
                return data_key
        raise StoreUnavailable("The key of the workspace's traces is being changed by others: try again in a moment.")

    async def find_version(self, workspace_id: str, item: Item | None, version: object) -> bytes | None:
        """Return the key of a version in the item of a workspace's keys; None if it has been destroyed."""
        stored_key = _parse_keys(item).keys.get(str(version))
        return None if stored_key is None else await self._unwrap(workspace_id, stored_key)

    async def destroy(self, workspace_id: str) -> None:
        """Destroy all keys of the workspace."""
        item_key = self.item_key(workspace_id)._asdict()
        await self._store.update(Update(self._store.table, item_key, Attr("keys").remove()))

    async def _create(self, workspace_id: str, stored_keys: StoredKeys) -> DataKey | None:
        """Add a key to the workspace's; None if another process has changed them."""
        if self._kms_key is None:
            secret = secrets.token_bytes(_KEY_BYTES)
            stored_key = StoredKey(secret)
        else:
            secret, wrapped = await self._kms_key.create_data_key(workspace_id)
            stored_key = StoredKey(wrapped, self._kms_key.id)
        version, before = stored_keys.version + 1, stored_keys.version
        keys = {**stored_keys.keys, str(version): stored_key}
        item = {
            **self.item_key(workspace_id)._asdict(),
            "version": version,
            "keys": {name: _key_fields(each) for name, each in keys.items()},
        }
        # A destruction leaves the version: the keys from before it must not come back.
        is_unchanged = Attr("version").equals(before) if before else Attr("version").does_not_exist()
        if stored_keys.keys:
            is_unchanged &= Attr("keys").exists()
        try:
            await self._store.put(Put(self._store.table, item, is_unchanged))
        except ConditionFailed:
            return None
        self._unwrapped.put((workspace_id, stored_key.key), secret)
        return DataKey(version, secret)

    async def _unwrap(self, workspace_id: str, stored_key: StoredKey) -> bytes:
        if stored_key.kms_key is None:
            return stored_key.key
        if self._kms_key is None:
            raise StoreUnavailable("The traces of this workspace need a KMS key: set TIDEGATE_TRACE_KEY.")
        name = (workspace_id, stored_key.key)
        entry = self._unwrapped.find(name, UNWRAPPED_SECONDS)
        if entry is not None:
            return entry.value
        read_at = self._unwrapped.now()
        secret = await self._kms_key.unwrap(workspace_id, stored_key)
        self._unwrapped.put(name, secret, read_at)
        return secret


def _parse_keys(item: Item | None) -> StoredKeys:
    return StoredKeys() if item is None else value_from_item(item, StoredKeys)


def _key_fields(stored_key: StoredKey) -> Mapping[str, object]:
    fields: dict[str, object] = {"key": stored_key.key}
    return fields if stored_key.kms_key is None else {**fields, "kms_key": stored_key.kms_key}


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise StoreUnavailable("KMS answered with a key that is not valid.") from error
