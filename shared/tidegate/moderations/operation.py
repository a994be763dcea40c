"""Moderations as an `Operation`."""

from collections.abc import Mapping

from tidegate.domain.operation import Reply, Stamp
from tidegate.moderations.request import ModerationRequest
from tidegate.texts.operation import TextsOperation


class ModerationOperation(TextsOperation, frozen=True):
    """The `Operation` of `POST …/moderations`."""

    def with_stamp(self, reply: Reply, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        """See `TextsOperation.with_stamp`. The ids of OpenAI's moderations begin with `modr-`."""
        stamped = super().with_stamp(reply, stamp, usage)
        return {**stamped, "id": f"modr-{stamped['id']}"}


MODERATIONS = ModerationOperation("moderations", "input", ModerationRequest, "results")
"""The `Operation` of `POST …/moderations`."""
