"""Powertools' processor of SQS messages, in the event loop that runs already.

It reports each failed message to Lambda, so that the others are not delivered again. Its own entry point would make
another event loop outside of Lambda, and raise an error if all messages fail.
Source: https://docs.aws.amazon.com/powertools/python/latest/utilities/batch/ (read 2026-11)
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

_Process = Callable[[dict[str, Any]], Awaitable[object]]


class MessageProcessor(AsyncBatchProcessor):
    """Takes the messages of one event at once."""

    def __init__(self) -> None:
        # As below: a parameter has the type of pydantic's models.
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)  # pyright: ignore[reportUnknownMemberType]

    async def run(
        self, records: list[dict[str, Any]], take: Callable[[SQSRecord], Awaitable[None]]
    ) -> PartialItemFailureResponse:
        """Call `take` with each message, and return those that failed. A cancellation ends all of them."""

        async def handle(record: SQSRecord) -> None:
            await take(record)

        # Its types are those of models in pydantic, which is not installed.
        process = cast(_Process, self._async_process_record)  # pyright: ignore[reportUnknownMemberType]
        with self(records, handle):
            await asyncio.gather(*map(process, records))
        return self.response()

    def failures(self) -> list[tuple[SQSRecord, BaseException]]:
        """Return the failed messages, each with its exception."""
        # The list may also have models in pydantic, which is not installed.
        records = cast("list[SQSRecord]", self.fail_messages)  # pyright: ignore[reportUnknownMemberType]
        exceptions = [failure for _, failure, _ in self.exceptions if failure is not None]
        return list(zip(records, exceptions, strict=True))
