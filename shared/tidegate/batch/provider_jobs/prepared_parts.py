"""Prepared parts: their lines as a job sends them, and what is needed to read their results.

Each prepared part has two objects: the lines for the provider, and a description of part and lines. The description is
written last, and makes the part prepared: what it says about guardrails and translation is then not decided again.
"""

import asyncio
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import replace

from tidegate.batch.lines import BatchLine, parse_line, part_lines
from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.results import answered, not_asked
from tidegate.catalog import call_cost, price_options
from tidegate.domain.batch import PartRange
from tidegate.domain.call import Call
from tidegate.domain.limits import Amounts
from tidegate.domain.money import exact_money
from tidegate.domain.operation import Request
from tidegate.domain.record import quantize_usd
from tidegate.errors import NotFound, StoreUnavailable, TidegateError
from tidegate.json import decode, encode
from tidegate.pipeline.prepare import translate
from tidegate.policy.metering.reservation import (
    UNLIMITED_HEADROOM,
    allowed_deployments,
    worst_case_tokens,
    worst_case_words,
)
from tidegate.providers.base import Dialect, UpstreamRequest

_HEAD_BYTES = 16 * 1024
_AT_ONCE = 32
_NOTHING = Raw()
"""Stands for a missing value: msgspec knows no union of `Raw`."""


class SentRequest(Struct, frozen=True, omit_defaults=True):
    """The fields of an `UpstreamRequest` that a translator needs to read its reply."""

    caller_tool_names: dict[str, str] = field(default_factory=dict[str, str])
    answer_tool: str | None = None
    legacy_functions: bool = False
    caller_tools: Raw = _NOTHING
    call_id: str = ""
    names_tool: bool = False
    dialect: Dialect = "own"

    @staticmethod
    def of(request: UpstreamRequest) -> "SentRequest":
        return SentRequest(
            caller_tool_names=dict(request.caller_tool_names),
            answer_tool=request.answer_tool,
            legacy_functions=request.legacy_functions,
            caller_tools=_NOTHING if request.caller_tools is None else Raw(encode(request.caller_tools)),
            call_id=request.call_id,
            names_tool=request.names_tool,
            dialect=request.dialect,
        )

    def request(self) -> UpstreamRequest:
        """Return the request without what was sent."""
        return UpstreamRequest(
            url="",
            body=b"",
            caller_tool_names=self.caller_tool_names,
            answer_tool=self.answer_tool,
            legacy_functions=self.legacy_functions,
            caller_tools=decode(self.caller_tools) if bytes(self.caller_tools) else None,
            call_id=self.call_id,
            names_tool=self.names_tool,
            dialect=self.dialect,
        )


class PreparedLine(Struct, frozen=True, omit_defaults=True):
    """A line of a prepared part: what was sent, or the entry of the error file of one that was not.

    `masked` is the body that guardrails have changed.
    """

    custom_id: str | None = None
    sent: SentRequest | None = None
    masked: Raw = _NOTHING
    refused: Raw = _NOTHING


class PreparedPart(Struct, frozen=True):
    """A prepared part: `lines` of it are sent, `size` bytes long. `needs` is their worst case.

    `unsuited` is why the part cannot be in a job; then it is answered by calls.
    """

    number: int
    lines: int = 0
    size: int = 0
    endpoint: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    needs: Amounts = Amounts()
    input_tokens: int = 0
    unsuited: str | None = None

    @property
    def is_suited(self) -> bool:
        return self.unsuited is None


class _LineInPreparation(Struct):
    """One line while its part is prepared."""

    line: PreparedLine
    call: Call | None = None
    request: UpstreamRequest | None = None


_decode_head = msgspec.json.Decoder(PreparedPart).decode
_decode_line = msgspec.json.Decoder(PreparedLine).decode


def prepared_part_key(context: JobContext, number: int) -> str:
    return context.key(f"prepared/{number:06}.jsonl")


def lines_key(context: JobContext, number: int) -> str:
    return context.key(f"lines/{number:06}.jsonl")


async def prepare_part(context: JobContext, part: PartRange) -> PreparedPart:
    """Return the part as it was prepared, or prepare it now. Raises `NotFound` and `StoreUnavailable`."""
    head = await context.components.objects.read(prepared_part_key(context, part.number), 0, _HEAD_BYTES)
    if head is not None:
        return _decode_head(head.partition(b"\n")[0])
    data = await context.components.objects.read(context.batch.input_key, part.first_byte, part.length)
    if data is None:
        raise NotFound("The input file does not exist any more.")
    lines: list[_LineInPreparation] = []
    numbered = list(enumerate(part_lines(data, part.lines), part.first_line))
    for first in range(0, len(numbered), _AT_ONCE):
        lines += await asyncio.gather(*(_prepare_line(context, *each) for each in numbered[first : first + _AT_ONCE]))
    prepared, content = _prepared_part(context, part, lines)
    if content:
        await context.components.objects.put(lines_key(context, part.number), content)
    entries = (encode(prepared), *(msgspec.json.encode(each.line) for each in lines))
    await context.components.objects.put(prepared_part_key(context, part.number), b"\n".join(entries))
    return prepared


async def read_prepared_lines(context: JobContext, number: int) -> list[PreparedLine]:
    """Return the lines of a prepared part. Raises `StoreUnavailable` if its description is gone."""
    data = await context.components.objects.read(prepared_part_key(context, number))
    if data is None:
        raise StoreUnavailable("The description of a prepared part of the batch is gone.")
    return [_decode_line(entry) for entry in data.split(b"\n")[1:]]


async def _prepare_line(context: JobContext, number: int, data: bytes) -> _LineInPreparation:
    batch = context.batch
    line = parse_line(data, batch.endpoint, context.components.endpoints)
    if not isinstance(line, BatchLine):
        return _LineInPreparation(
            PreparedLine(refused=Raw(not_asked(batch.id, number, None, line.code, line.message).text))
        )
    call: Call | None = None
    try:
        call = new_call(context, number, context.surface.parse(context.operation, line.body))
        guard = context.gateway.guardrails.for_call(call)
        checked = await guard.check_prompt(call) if guard else call
        resolution = context.gateway.router.resolve(call.request.model, context.workspace)
        allowed_deployments(call, resolution)
        translated = await translate(context.gateway, checked, context.deployment, UNLIMITED_HEADROOM)
    except StoreUnavailable:
        raise
    except TidegateError as error:
        body, call_id = context.surface.error(error), "" if call is None else call.id
        result = answered(batch.id, number, line.custom_id, error.status, call_id, body)
        return _LineInPreparation(PreparedLine(line.custom_id, refused=Raw(result.text)))
    masked = _NOTHING if checked.request is call.request else Raw(encode(checked.request.body))
    lines = PreparedLine(line.custom_id, SentRequest.of(translated.request), masked)
    return _LineInPreparation(lines, checked, translated.request)


def new_call(context: JobContext, line: int, request: Request) -> Call:
    """Return the call of a line. It has no trace: a line that asks for one has a field that is ignored."""
    call = context.gateway.new_call(context.principal, context.workspace, context.surface, context.operation, request)
    ignored = ("observability",) if request.options.observability else ()
    return replace(call, batch_id=context.batch.id, batch_line=line, ignored_options=ignored)


@exact_money
def _prepared_part(context: JobContext, part: PartRange, lines: list[_LineInPreparation]) -> tuple[PreparedPart, bytes]:
    """Return the prepared part, and its lines for the provider."""
    content: list[bytes] = []
    tokens, words, usd, input_tokens = 0, 0, Decimal(0), 0
    endpoints: set[str] = set()
    headers: dict[str, str] = {}
    for number, each in enumerate(lines, part.first_line):
        if each.request is None or each.call is None:
            continue
        line = context.jobs.line(context.reference, number, each.request)
        if line is None:
            return PreparedPart(
                part.number, unsuited="The provider's batch API does not support some of the lines."
            ), b""
        endpoints.add(context.jobs.endpoint(each.request) or "")
        content.append(line)
        _add_headers(headers, each.request.headers)
        model = context.gateway.catalog.find_model(context.deployment.model_id, price_options(each.call.request.body))
        worst = worst_case_tokens(each.call, model, each.request.body)
        cost = None if model is None else call_cost(model, worst, each.call.started_at)
        tokens, input_tokens = tokens + worst.input + worst.output, input_tokens + worst.input
        words, usd = words + worst_case_words(each.call, worst), usd + quantize_usd(cost or Decimal(0))
    if len(endpoints) > 1:
        return PreparedPart(part.number, unsuited="The lines need several endpoints of the provider."), b""
    prepared = PreparedPart(
        number=part.number,
        lines=len(content),
        size=sum(map(len, content)),
        endpoint=next(iter(endpoints), ""),
        headers=headers,
        needs=Amounts(tokens, words, usd),
        input_tokens=input_tokens,
    )
    return prepared, b"".join(content)


def _add_headers(headers: dict[str, str], other: dict[str, str]) -> None:
    """Add the values of headers that name features, which a job needs for all of its lines."""
    for name, value in other.items():
        if name not in ("content-type", "accept"):
            listed = [*headers.get(name, "").split(","), *value.split(",")]
            headers[name] = ",".join(dict.fromkeys(each for each in listed if each))


def joined_headers(prepared_parts: list[PreparedPart]) -> dict[str, str]:
    """Return the headers for a job of these parts."""
    headers: dict[str, str] = {}
    for prepared in prepared_parts:
        _add_headers(headers, prepared.headers)
    return headers
