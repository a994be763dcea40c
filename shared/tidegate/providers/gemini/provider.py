"""Google's generateContent as a provider: Gemini on AI Studio with a key, on Vertex AI with a token.

Sources: https://ai.google.dev/api/generate-content (2026-11, like the next),
https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent
"""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.providers.base import Auth, Framing, Headers, KeyAuth, StreamTranslator, UpstreamRequest
from tidegate.providers.gemini import completion, failure, media, request, stream
from tidegate.providers.gemini.capabilities import Host
from tidegate.providers.request_builder import quote_name

_MODEL_FOLDERS = {"gemini": ("models/", "tunedModels/"), "vertex": ("publishers/", "endpoints/")}
_DEFAULT_FOLDER: dict[Host, str] = {"gemini": "models/", "vertex": "publishers/google/models/"}


class Gemini(Struct, frozen=True):
    """Gemini on one host. AI Studio's base URL has no path, Vertex's ends with the location."""

    host: Host
    auth: Auth
    version: str = ""
    framing: Framing = "sse"
    dialects: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.host

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        return True

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return dict(media.urls_to_fetch(call.request.fields.messages))

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        builder = request.build(call, self.host, deployment.model)
        # Without alt=sse a stream is one JSON array. The key is never in the URL, because URLs are logged.
        method = "streamGenerateContent?alt=sse" if call.request.stream else "generateContent"
        url = f"{deployment.base_url.rstrip('/')}{self.version}/{self._model_path(deployment.model)}:{method}"
        return builder.upstream_request(url, self.auth)

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        return None

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(self.name, body)

    def new_stream(self) -> StreamTranslator:
        return stream.new_stream(self.name)

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return failure.from_reply(self.name, status, headers, body)

    def _model_path(self, model: str) -> str:
        """Return the model's URL path. Slashes in a model's name are kept only after a known folder."""
        if model.startswith(_MODEL_FOLDERS[self.host]) and ".." not in model:
            return quote_name(model, safe="/@-._~")
        return _DEFAULT_FOLDER[self.host] + quote_name(model, safe="@-._~")


PROVIDER = Gemini("gemini", KeyAuth("x-goog-api-key", ""), "/v1beta")
