"""One line of a batch as a call: what a live caller would get becomes a line of the output or the error file."""

import logging

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.lines import BatchLine
from tidegate.batch.part_ledger import LineStopped
from tidegate.batch.part_meter import EndedCall, PartMeter
from tidegate.batch.results import Result, answered
from tidegate.batch.whole_reply import whole_reply
from tidegate.domain.batch import Batch, BatchUsage
from tidegate.domain.call import Call
from tidegate.domain.ids import ulid
from tidegate.domain.internal_error import internal_error
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import (
    GatewayTimeout,
    GuardrailUnavailable,
    InvalidRequest,
    ProviderRateLimited,
    StoreUnavailable,
    TidegateError,
)
from tidegate.gateway import CallHeaders, Gateway

log = logging.getLogger(__name__)


class LineAnswer(Struct, frozen=True):
    """The end of one call of a line. `error` is the call's, None for a reply; `usage` is charged in any case.

    Without a `result`, nobody was asked, because the worker stopped before. `limited` are the providers whose rates
    have refused an attempt.
    """

    result: Result | None
    usage: BatchUsage = BatchUsage()
    error: TidegateError | None = None
    limited: tuple[str, ...] = ()

    @property
    def lacks_only_time(self) -> bool:
        """True if the line is asked again for as long as the batch lasts: a rate, a store or our own wait failed it."""
        waited_for_room = isinstance(self.error, GatewayTimeout) and not self.error.attempts
        return waited_for_room or isinstance(self.error, ProviderRateLimited | StoreUnavailable)

    @property
    def may_pass(self) -> bool:
        """True if the line may succeed when it is asked again."""
        error = self.error
        return error is not None and (error.retryable or isinstance(error, GatewayTimeout | GuardrailUnavailable))


class LineCalls(Struct):
    """Asks lines of a batch, for its caller as it is now. `headers` have the deadline of all calls."""

    batch: Batch
    gateway: Gateway
    meter: PartMeter
    surface: Surface
    operation: Operation
    caller: tuple[Principal, Workspace]
    headers: CallHeaders

    async def ask(self, number: int, line: BatchLine) -> LineAnswer:
        """Ask the line with this number once."""
        status, body, error, call_id = 200, b"", None, ""
        try:
            call = self._new_call(number, line)
            call_id = call.id
            body = await whole_reply(self.gateway, call)
        except LineStopped:
            ended = self.meter.take_ended(call_id)
            return LineAnswer(None) if ended is None else LineAnswer(None, ended.usage)
        except TidegateError as failure:
            error = failure
        # A fault of ours in one line must not end the others: the line gets the error of a live call.
        except Exception:
            log.exception("call.crashed", extra={"call_id": call_id, "batch_id": self.batch.id, "line": number})
            error = internal_error()
        if error is not None:
            status, body = self.surface.status(error), self.surface.error(error)
        ended = self.meter.take_ended(call_id)
        result = answered(self.batch.id, number, line.custom_id, status, call_id or ulid(self.gateway.clock()), body)
        if ended is None:
            return LineAnswer(result, error=error)
        return LineAnswer(result, ended.usage, error, _limited(ended) if ended.outcome.failed_attempts else ())

    def _new_call(self, number: int, line: BatchLine) -> Call:
        request = self.surface.parse(self.operation, line.body)
        if request.stream:
            raise InvalidRequest("Streaming is not supported in the Batch API.", param="stream")
        traced_body = line.body if request.options.observability else None
        call = self.gateway.new_call(
            *self.caller, self.surface, self.operation, request, headers=self.headers, body=traced_body
        )
        return replace(call, batch_id=self.batch.id, batch_line=number)


class _Named(Struct):
    custom_id: str | None = None


_decode_named = msgspec.json.Decoder(_Named).decode


def custom_id_of(data: bytes) -> str | None:
    """The custom id of a line that is not acceptable for another reason; None if it cannot be read."""
    try:
        return _decode_named(data).custom_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _limited(ended: EndedCall) -> tuple[str, ...]:
    limited = {
        failed.deployment.partition("/")[0]
        for failed in ended.outcome.failed_attempts
        if failed.error_code == ProviderRateLimited.code
    }
    return tuple(limited)
