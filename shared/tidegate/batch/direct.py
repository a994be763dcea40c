"""Requests in the payload of an invocation, which are answered when all are done.

    event = {"workspace_id": "ws_one", "requests": [{"custom_id": "a", "url": "/v1/chat/completions", "body": {…}}]}
    await answer_invocation(components, event, deadline)      # {"workspace_id": "ws_one", "results": [{"id": …}]}

The payload and the answer of an invocation have at most 6 MB each.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (read 2026-11)
"""

import asyncio
import logging

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields, invalid
from tidegate.batch.keys import results_prefix
from tidegate.batch.results import EXPIRED, Result, not_asked
from tidegate.batch.single_calls import Caller, SingleRequest, answer_request, parse_request
from tidegate.domain.batch import BatchFault
from tidegate.domain.ids import ulid
from tidegate.json import Json, JsonObject, decode

log = logging.getLogger(__name__)

MAX_REQUESTS = 10_000
MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""More than that is written to the bucket: an answer that Lambda refuses would be lost, and paid for."""

MAX_ID = 200


async def answer_invocation(components: BatchComponents, event: JsonObject, deadline: float) -> JsonObject:
    """Answer all requests and return their lines in order, or the name of the object that has them if they are many.

    With an `idempotency_key` in the event, a repetition is answered and charged once. Raises `InvalidRequest`,
    `WorkspaceForbidden`, `StoreUnavailable`.
    """
    fields = Fields(event)
    workspace_id, key = fields.text("workspace_id"), fields.maybe_text("idempotency_key", max_length=MAX_ID)
    requests = event.get("requests")
    if not isinstance(requests, list) or not 0 < len(requests) <= MAX_REQUESTS:
        raise invalid(f"'requests' must be a list of 1 to {MAX_REQUESTS} requests.", "requests", "invalid_type")
    caller = await components.callers.find_caller(workspace_id, None)
    reference = ulid(components.clock())
    turn = asyncio.Semaphore(components.options.parallel_calls)
    custom_ids: set[str] = set()
    parsed = [_parse(components, request, reference, number, custom_ids) for number, request in enumerate(requests)]

    async def answer(request: SingleRequest | Result) -> Result:
        if isinstance(request, Result):
            return request
        request = replace(request, idempotency_key=f"direct:{key}:{request.number}" if key else None)
        async with turn:
            return await _answer(components, caller, request, deadline)

    results = await asyncio.gather(*map(answer, parsed))
    log.info("invocation.answered", extra={"workspace_id": workspace_id, "requests": len(results)})
    return await _as_answer(components, workspace_id, reference, results)


def _parse(
    components: BatchComponents, request: Json, reference: str, number: int, custom_ids: set[str]
) -> SingleRequest | Result:
    """Return the request, or the line that says what is wrong with it."""
    fields = request if isinstance(request, dict) else {}
    custom_id = fields.get("custom_id")
    parsed = parse_request(components, {**fields, "custom_id": custom_id}, reference, number)
    if isinstance(parsed, SingleRequest) and parsed.line.custom_id in custom_ids:
        parsed = BatchFault("duplicate_custom_id", "Another request has this custom_id.", param="custom_id")
    if isinstance(parsed, SingleRequest):
        custom_ids.add(parsed.line.custom_id)
        return parsed
    return not_asked(reference, number, custom_id if isinstance(custom_id, str) else None, parsed.code, parsed.message)


async def _answer(components: BatchComponents, caller: Caller, request: SingleRequest, deadline: float) -> Result:
    if components.clock() >= deadline:
        return not_asked(request.reference, request.number, request.line.custom_id, *EXPIRED)
    result, _ = await answer_request(components, caller, request, deadline)
    return result


async def _as_answer(
    components: BatchComponents, workspace_id: str, reference: str, results: list[Result]
) -> JsonObject:
    failed = sum(result.file == "e" for result in results)
    counts: Json = {"total": len(results), "completed": len(results) - failed, "failed": failed}
    answer: JsonObject = {"workspace_id": workspace_id, "request_counts": counts}
    if sum(len(result.text) + 1 for result in results) <= MAX_ANSWER_BYTES:
        return {**answer, "results": [decode(result.text) for result in results]}
    key = f"{results_prefix(workspace_id)}direct/{reference}.jsonl"
    await components.objects.put(key, b"".join(result.text + b"\n" for result in results))
    return {**answer, "object": key}
