"""Amazon Bedrock as a provider: Converse and ConverseStream, for the models of all makers.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html (2026).
"""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.providers.base import (
    Auth,
    Framing,
    Headers,
    KeyAuth,
    SigV4Auth,
    StreamTranslator,
    UpstreamRequest,
)
from tidegate.providers.bedrock import completion, failure, parts, request, stream
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import quote_name


class Bedrock(Struct, frozen=True):
    name: str = "bedrock"
    framing: Framing = "eventstream"
    dialects: frozenset[str] = frozenset({"messages"})

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        return True

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return parts.urls_to_fetch(call.request)

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        with legacy_functions.CallerPaths(call.request.body):
            builder = request.build(call, deployment.model)
        verb = "converse-stream" if call.request.stream else "converse"
        url = f"{deployment.base_url.rstrip('/')}/model/{quote_name(deployment.model, safe='')}/{verb}"
        return builder.upstream_request(url, _auth(deployment))

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        return load("tidegate.providers.bedrock.invoke", "native_request")(call, deployment, _auth(deployment))

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(body)

    def new_stream(self) -> StreamTranslator:
        return stream.new_stream()

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return failure.from_reply(status, headers, body)


def _auth(deployment: Deployment) -> Auth:
    return KeyAuth() if deployment.secret else SigV4Auth("bedrock", deployment.region or "")


PROVIDER = Bedrock()
