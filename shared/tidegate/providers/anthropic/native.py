"""Requests in Anthropic's own dialect to Anthropic: the caller's body, with its headers.

Source: https://code.claude.com/docs/en/llm-gateway-protocol (2026-11): fields and beta headers that the gateway does
not know go on as they are, in pairs.
"""

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.json import encode
from tidegate.providers.base import KeyAuth, UpstreamRequest
from tidegate.providers.native import caller_body


def native_request(call: ChatCall, deployment: Deployment, version: str) -> UpstreamRequest | None:
    """See `Provider.native_request`. `version` is the API's, for a caller that named none."""
    origin = call.request.origin
    if origin is None or origin.dialect != "messages":
        return None
    return UpstreamRequest(
        f"{deployment.base_url.rstrip('/')}/v1/messages",
        encode(caller_body(call, deployment.model, "max_tokens")),
        headers={"content-type": "application/json", "anthropic-version": version, **origin.headers},
        auth=KeyAuth("x-api-key", ""),
        call_id=call.id,
        dialect="messages",
        is_native=True,
    )
