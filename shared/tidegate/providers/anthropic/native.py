"""Requests in Anthropic's own dialect to Anthropic, and to providers that serve its API: the caller's body and headers.

Source: https://code.claude.com/docs/en/llm-gateway-protocol (2026-11): fields and beta headers that the gateway does
not know go on as they are, in pairs.
"""

from collections.abc import Mapping

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.json import encode
from tidegate.providers.base import KeyAuth, UpstreamRequest
from tidegate.providers.native import caller_body
from tidegate.providers.openai.quirks import NativeMessages

_KEY = KeyAuth("x-api-key", "")
_VERSION = "2023-06-01"


def native_request(call: ChatCall, deployment: Deployment, version: str) -> UpstreamRequest | None:
    """See `Provider.native_request`. `version` is the API's, for a caller that named none."""
    origin = call.request.origin
    if origin is None or origin.dialect != "messages":
        return None
    return _request(call, deployment.model, f"{deployment.base_url.rstrip('/')}/v1/messages", _KEY, version)


def native_request_at(
    call: ChatCall, deployment: Deployment, api: NativeMessages, model_prefix: str
) -> UpstreamRequest | None:
    """Return the request to the API of a provider whose main dialect is another one."""
    model = deployment.model if "/" in deployment.model else model_prefix + deployment.model
    auth = KeyAuth() if api.key_header == "authorization" else KeyAuth(api.key_header, "")
    return _request(call, model, api.url, auth, _VERSION)


def _request(call: ChatCall, model: str, url: str, auth: KeyAuth, version: str) -> UpstreamRequest:
    origin = call.request.origin
    headers: Mapping[str, str] = {} if origin is None else origin.headers
    return UpstreamRequest(
        url,
        encode(caller_body(call, model, "max_tokens")),
        headers={"content-type": "application/json", "anthropic-version": version, **headers},
        auth=auth,
        call_id=call.id,
        dialect="messages",
        is_native=True,
    )
