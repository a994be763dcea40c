"""Claude on Vertex AI: Anthropic's Messages API in Google's paths, for requests of every dialect.

Source: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (2026-11).
"""

from msgspec.structs import replace

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.json import encode
from tidegate.providers.anthropic import request
from tidegate.providers.base import Auth, UpstreamRequest
from tidegate.providers.messages_hosts import VERTEX, beta_headers, caller_body_for, host_body, is_native
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import quote_name

_FOLDER = "publishers/anthropic/models/"


def build_request(call: ChatCall, deployment: Deployment, auth: Auth) -> UpstreamRequest:
    """See `Provider.build_request`."""
    with legacy_functions.CallerPaths(call.request.body):
        builder = request.build(call, deployment.model, deployment.output_limit)
    body, sent, refused = host_body(builder.body, builder.betas, VERTEX)
    builder.body = body | ({"stream": True} if call.request.stream else {})
    builder.ignored += refused
    built = builder.upstream_request(_url(call, deployment), auth, beta_headers(sent, VERTEX))
    return replace(built, dialect="messages")


def native_request(call: ChatCall, deployment: Deployment, auth: Auth) -> UpstreamRequest | None:
    """See `Provider.native_request`."""
    if not is_native(call, deployment.model):
        return None
    body, headers, refused = caller_body_for(call, deployment.model, VERTEX)
    return UpstreamRequest(
        _url(call, deployment),
        encode(body | ({"stream": True} if call.request.stream else {})),
        headers={"content-type": "application/json", **headers},
        auth=auth,
        ignored=tuple(refused),
        call_id=call.id,
        dialect="messages",
        is_native=True,
    )


def _url(call: ChatCall, deployment: Deployment) -> str:
    model = deployment.model.removeprefix(_FOLDER)
    method = "streamRawPredict" if call.request.stream else "rawPredict"
    return f"{deployment.base_url.rstrip('/')}/{_FOLDER}{quote_name(model, safe='@-._~')}:{method}"
