"""Gemini and Claude on Vertex AI, with an access token or with an API key.

Gemini is in the dialect of `providers/gemini`, Claude in Anthropic's (`vertex_claude.py`).

An access token needs a project and its location. An API key may have both; without them, it is one of express mode,
whose URLs name neither (https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview, read
2026-11). google-genai sends API keys in `x-goog-api-key` (`google/genai/_api_client.py`).

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11). `identity/google.py`
obtains the tokens.
"""

from collections.abc import Mapping

from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.providers.base import Headers, KeyAuth, UpstreamRequest
from tidegate.providers.gemini.provider import Gemini

_CLAUDE = "tidegate.providers.vertex_claude"


class Vertex(Gemini, frozen=True):
    """Both makers' models at one host."""

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        if _is_claude(deployment):
            return load("tidegate.providers.anthropic.parts", "http_image_urls")(call)
        return super().media_urls(call, deployment)

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        if _is_claude(deployment):
            return load(_CLAUDE, "build_request")(call, deployment, self.auth)
        return super().build_request(call, deployment)

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        return load(_CLAUDE, "native_request")(call, deployment, self.auth) if _is_claude(deployment) else None

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        match body:
            case {"type": "error"}:
                return load("tidegate.providers.anthropic.failure", "from_reply")(status, headers, body)
            case _:
                return super().parse_error(status, headers, body)


def _is_claude(deployment: Deployment) -> bool:
    return "claude" in deployment.model.lower()


PROVIDER = Vertex("vertex", KeyAuth("x-goog-api-key", ""))
