"""Anthropic's Messages API as a provider.

Source: https://platform.claude.com/docs/en/api/messages, version 2023-06-01. The version of 2026-10-21 refuses
temperature and top_p, which older models still honour.
"""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.providers.anthropic import completion, failure, parts, request, stream
from tidegate.providers.base import Framing, Headers, KeyAuth, StreamTranslator, UpstreamRequest
from tidegate.providers.openai import legacy_functions

VERSION = "2023-06-01"


class Anthropic(Struct, frozen=True):
    name: str = "anthropic"
    framing: Framing = "sse"
    dialects: frozenset[str] = frozenset({"messages"})

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        return True

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return parts.http_image_urls(call)

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        with legacy_functions.CallerPaths(call.request.body):
            builder = request.build(call, deployment.model, deployment.output_limit)
        headers = {"anthropic-version": VERSION}
        if builder.betas:
            headers["anthropic-beta"] = ",".join(dict.fromkeys(builder.betas))
        url = f"{deployment.base_url.rstrip('/')}/v1/messages"
        return builder.upstream_request(url, KeyAuth("x-api-key", ""), headers)

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        return load("tidegate.providers.anthropic.native", "native_request")(call, deployment, VERSION)

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(body)

    def new_stream(self) -> StreamTranslator:
        return stream.new_stream()

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return failure.from_reply(status, headers, body)


PROVIDER = Anthropic()
