"""Messages between the steps of a batch. They may arrive twice or late: each step finds out what is left to do.

encode_message(RunPart("ws_one", "batch_01", 7))  # b'{"step":"part","workspace_id":"ws_one",…}'
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct


class Validate(Struct, frozen=True, tag_field="step", tag="validate"):
    """Read the input, and divide it into parts."""

    workspace_id: str
    batch_id: str


class RunPart(Struct, frozen=True, tag_field="step", tag="part"):
    """Answer the lines of a part."""

    workspace_id: str
    batch_id: str
    number: int


class Compose(Struct, frozen=True, tag_field="step", tag="compose"):
    """Join the results of all parts, and end the batch."""

    workspace_id: str
    batch_id: str


class PollJobs(Struct, frozen=True, tag_field="step", tag="poll"):
    """Create, look up, collect or cancel the batch's jobs at providers."""

    workspace_id: str
    batch_id: str


class Sweep(Struct, frozen=True, tag_field="step", tag="sweep"):
    """Look after all open batches: deadlines, pauses that are over, parts and steps whose worker has died."""


class Notify(Struct, frozen=True, tag_field="step", tag="notify"):
    """Send an event of a batch to the workspace's webhook. `attempt` counts from 1; `event_id` is equal in all."""

    workspace_id: str
    batch_id: str
    event: str
    event_id: str
    attempt: int = 1


Message: TypeAlias = Validate | RunPart | Compose | PollJobs | Sweep | Notify

encode_message = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(Message).decode
