"""One request of an event, answered over the path of a live call."""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.batch.components import BatchComponents
from tidegate.batch.lines import BatchLine, parse_line
from tidegate.batch.results import Result, answered
from tidegate.batch.whole_reply import whole_reply
from tidegate.domain.batch import BatchFault
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import TidegateError
from tidegate.gateway import CallHeaders
from tidegate.json import Json, encode

Caller = tuple[Principal, Workspace]


class SingleRequest(Struct, frozen=True):
    """A request of an event. `reference` stands for the batch in the id of its answer.

    `idempotency_key` is the event's: a repetition of the event gets the same answer, which is charged once.
    """

    reference: str
    number: int
    url: str
    line: BatchLine
    idempotency_key: str | None = None


def parse_request(
    components: BatchComponents, fields: Mapping[str, Json], reference: str, number: int = 0
) -> SingleRequest | BatchFault:
    """Return the request in `url`, `body`, and perhaps `custom_id` and `method`, or what is wrong with it."""
    url = fields.get("url")
    if not isinstance(url, str) or url not in components.endpoints:
        known = ", ".join(sorted(components.endpoints))
        return BatchFault("invalid_url", f"The url must be one of: {known}.", param="url")
    line: Json = {
        "custom_id": fields.get("custom_id", reference),
        "method": fields.get("method", "POST"),
        "url": url,
        "body": fields.get("body"),
    }
    try:
        data = encode(line)
    except (UnicodeEncodeError, OverflowError, RecursionError):  # other parsers than ours accept more
        return BatchFault("invalid_json_line", "This request is not parseable as valid JSON.")
    if len(data) > components.options.max_line_bytes:
        message = f"A request may have at most {components.options.max_line_bytes} bytes."
        return BatchFault("request_too_large", message)
    parsed = parse_line(data, url, components.endpoints)
    return parsed if isinstance(parsed, BatchFault) else SingleRequest(reference, number, url, parsed)


async def answer_request(
    components: BatchComponents, caller: Caller, request: SingleRequest, deadline: float
) -> tuple[Result, TidegateError | None]:
    """Return the line for the output or error file, and the error if the call failed."""
    surface, operation = components.endpoints[request.url]
    gateway, (principal, workspace) = components.gateway, caller
    call_id = request.reference
    try:
        parsed = surface.parse(operation, request.line.body)
        headers = CallHeaders(idempotency_key=request.idempotency_key, deadline=deadline)
        traced_body = request.line.body if parsed.options.observability else None
        call = gateway.new_call(principal, workspace, surface, operation, parsed, headers=headers, body=traced_body)
        call_id = call.id
        body = await whole_reply(gateway, call)
    except TidegateError as error:
        return _result(request, surface.status(error), call_id, surface.error(error)), error
    return _result(request, 200, call_id, body), None


def _result(request: SingleRequest, status: int, call_id: str, body: bytes) -> Result:
    return answered(request.reference, request.number, request.line.custom_id, status, call_id, body)
