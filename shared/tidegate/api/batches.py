"""OpenAI's endpoints of batches, and `POST /v1/batches/{id}/resume` of our own for a paused one.

Source: https://platform.openai.com/docs/api-reference/batch (read 2026-11).
"""

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import authenticate, json_reply
from tidegate.api.batch_requests import Caller, caller_of, json_fields, list_json, page_of, query_fields
from tidegate.batch import batches
from tidegate.batch.idempotent_creation import create_batch_once
from tidegate.domain.batch import Batch
from tidegate.domain.call import parse_idempotency_key

PAGE_SIZE, MAX_PAGE = 20, 100


async def create_batch(request: Request) -> Response:
    """Answer `POST /batches`; for a repetition of an idempotency key, with the batch that exists."""
    caller = await caller_of(request)
    idempotency_key = parse_idempotency_key(request.headers.get("idempotency-key"))
    fields = await json_fields(request)
    endpoint = fields.values.get("endpoint")
    if isinstance(endpoint, str) and endpoint in caller.components.endpoints:
        await authenticate(request, path=endpoint)  # a batch must not reach what its key may not call
    place = (caller.components, caller.workspace_id, caller.key_id)
    if idempotency_key is None:
        return await _reply(caller, await batches.create_batch(*place, fields))
    batch, is_repetition = await create_batch_once(*place, fields, idempotency_key)
    reply = await _reply(caller, batch)
    if is_repetition:
        reply.headers["idempotent-replayed"] = "true"
    return reply


async def list_batches(request: Request) -> Response:
    """Answer `GET /batches`."""
    caller = await caller_of(request)
    page = page_of(query_fields(request), PAGE_SIZE, MAX_PAGE)
    found, has_more = await batches.list_batches(caller.components, caller.workspace_id, page)
    return json_reply(list_json(await batches.describe_batches(caller.components, found), has_more))


async def show_batch(request: Request) -> Response:
    """Answer `GET /batches/{id}`."""
    caller = await caller_of(request)
    return await _reply(caller, await batches.find_batch(caller.components, caller.workspace_id, caller.id))


async def cancel_batch(request: Request) -> Response:
    """Answer `POST /batches/{id}/cancel`."""
    caller = await caller_of(request)
    return await _reply(caller, await batches.cancel_batch(caller.components, caller.workspace_id, caller.id))


async def resume_batch(request: Request) -> Response:
    """Answer `POST /batches/{id}/resume`."""
    caller = await caller_of(request)
    return await _reply(caller, await batches.resume_batch(caller.components, caller.workspace_id, caller.id))


async def _reply(caller: Caller, batch: Batch) -> Response:
    (document,) = await batches.describe_batches(caller.components, [batch])
    return json_reply(document)
