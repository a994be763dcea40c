"""The provider for Cohere's chat API: bearer key, documents and citations, plans before tool calls.

Sources, read in 2026-11: https://docs.cohere.com/reference/chat, https://docs.cohere.com/docs/streaming and
https://docs.cohere.com/reference/errors (498 and 499 are Cohere's own).
"""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import ContentPolicyViolation, ProviderAuth, ProviderBadRequest, ProviderFailed, UpstreamError
from tidegate.json import Json
from tidegate.providers.base import Framing, Headers, KeyAuth, StreamTranslator, UpstreamRequest
from tidegate.providers.cohere import completion, request, stream
from tidegate.providers.openai import error_body, failure, legacy_functions


class Cohere(Struct, frozen=True):
    """The provider for Cohere. Image URLs are passed on: Cohere fetches them itself."""

    name: str = "cohere"
    framing: Framing = "sse"
    dialects: frozenset[str] = frozenset()

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        return False

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        with legacy_functions.CallerPaths(call.request.body):
            builder = request.build(call, deployment.model)
        return builder.upstream_request(f"{deployment.base_url.rstrip('/')}/v2/chat", KeyAuth())

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        return None

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(body)

    def new_stream(self) -> StreamTranslator:
        return stream.new_stream()

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        if status not in (498, 499, 501):
            return failure.from_reply(self.name, status, headers, body)
        error = error_body.parse_error_body(body)
        error_class = _error_class(status, error.message)
        message = error_body.scrub(error.message) or f"cohere answered with HTTP {status} and no message."
        if error_class is ProviderAuth:
            message = f"cohere refused the gateway's credentials or account (HTTP {status})."
        return error_class(message, upstream_status=status, native_code=error.code or error.type)


def _error_class(status: int, message: str) -> type[UpstreamError]:
    """Return the error for 498 (blocked content; in the official SDK an invalid token), 499 (cancelled) or 501."""
    match status:
        case 498 if "token" in message.lower() and "block" not in message.lower():
            return ProviderAuth
        case 498:
            return ContentPolicyViolation
        case 501:
            return ProviderBadRequest  # the model lacks the feature: retrying is useless
        case _:
            return ProviderFailed


PROVIDER = Cohere()
