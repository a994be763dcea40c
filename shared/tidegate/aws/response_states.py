"""Stored responses: `encrypted_items` by their id, with keys of their own. Loaded when the first call needs one."""

from tidegate.aws.encrypted_items import EncryptedItems, Family, configured_kms_key, configured_objects
from tidegate.aws.reply_store import MAX_ITEM_BYTES
from tidegate.aws.store import ObjectStore
from tidegate.aws.table import RESPONSES_PREFIX, response_keys_item_key, responses_partition
from tidegate.aws.trace_keys import TraceKeys
from tidegate.aws.world import AwsWorld
from tidegate.domain.response_state import STATE_DAYS

RESPONSES = Family(
    "response.unreadable", "response_id", "responses", responses_partition(""), RESPONSES_PREFIX, (STATE_DAYS,)
)


class DynamoResponseStates(EncryptedItems, frozen=True):
    """The port `ResponseStates`."""

    bucket: ObjectStore | None = None
    max_item_bytes: int = MAX_ITEM_BYTES
    family: Family = RESPONSES


def create_response_states(world: AwsWorld) -> DynamoResponseStates:
    """Create the stored responses of a world, with the KMS key and the bucket that the settings name."""
    keys = TraceKeys(world.store, configured_kms_key(world), response_keys_item_key)
    return DynamoResponseStates(world.store, keys, *configured_objects(world))
