"""Counts the input tokens of a call without answering it.

The provider's own count, where it has one; otherwise, or if it does not answer, an estimate that is never too low: a
client that compacts its conversation too late cannot send it any more.
"""

from functools import partial

from tidegate.domain.call import Call
from tidegate.domain.operation import Request
from tidegate.errors import NotConfigured, UpstreamError
from tidegate.json import decode_reply_or_none
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.prepare import PreparedCall, translate
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, allowed_deployments

_LONGEST_SECONDS = 5.0
_MAX_BYTES = 64 * 1024
_CALLER_TOOLS = ("function", "custom")


async def count_tokens(components: Components, call: Call) -> int:
    """Return the tokens, at the first deployment that the call's model leads to. Raises `TidegateError`."""
    guard_run = components.guardrails.for_call(call)
    if guard_run is not None:
        call = await guard_run.check_prompt(call)
    resolution = components.router.resolve(call.request.model, call.workspace)
    deployment = allowed_deployments(call, resolution).deployments[0]
    prepared = await translate(components, call, deployment, UNLIMITED_HEADROOM)
    tokens = await _native_count(components, prepared)
    if tokens is not None:
        return tokens
    return await offload(call.request.size, partial(_estimate, call.request, prepared.request.body))


def _estimate(request: Request, sent: bytes) -> int:
    """Return the tokens to hold for the input, without what a provider's own tools may read while they answer."""
    tools = request.body.get("tools")
    listed = tools if isinstance(tools, list) else []
    kept = [tool for tool in listed if isinstance(tool, dict) and tool.get("type") in _CALLER_TOOLS]
    if len(kept) < len(listed) or "mcp_servers" in request.body:
        names = ("mcp_servers", *(("tool_choice", "parallel_tool_calls") if not kept else ()))
        request = request.with_body({**request.body, "tools": [*kept]}).without_fields(names)
    return request.worst_case(None, sent).input


async def _native_count(components: Components, prepared: PreparedCall) -> int | None:
    module, deployment, call = "tidegate.providers.token_counts", prepared.deployment, prepared.call
    count_request = load(module, "count_request")
    request = await offload(call.request.size, partial(count_request, deployment.provider, prepared.request))
    if request is None:
        return None
    seconds = min(_LONGEST_SECONDS, call.deadline - components.clock())
    keys = components.workspace_keys.secrets_for(call.workspace, deployment.secret)
    sending = components.upstream.send(
        deployment.provider, "POST", request, secret=deployment.secret, seconds=seconds, workspace_keys=keys
    )
    try:
        async with sending as response:
            body = await response.read(_MAX_BYTES)
    except (UpstreamError, NotConfigured):
        return None
    return load(module, "parse_count")(decode_reply_or_none(body)) if response.status == 200 else None
