"""A provider that speaks OpenAI's dialect, with the quirks of its row.

Source: https://platform.openai.com/docs/api-reference/chat (2026).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from msgspec import Struct

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UpstreamError
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.base import Framing, Headers, StreamEvent, UpstreamRequest
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai import completion, failure, legacy_functions, parts, request, stream


class OpenAI(Struct, frozen=True):
    """A provider that speaks OpenAI's dialect, defined by its row."""

    row: Row
    framing: Framing = "sse"

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def signs_reasoning(self) -> bool:
        return self.row.quirks.needs_replay

    def url(self, deployment: Deployment) -> str:
        return f"{deployment.base_url.rstrip('/')}/chat/completions"

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        return dict(parts.urls_to_fetch(self.row.quirks.files, call.request.fields.messages))

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        with legacy_functions.with_caller_paths(call.request.body):
            builder = request.build(call, deployment.model, self.row.quirks)
        return UpstreamRequest(
            url=self.url(deployment),
            body=encode(builder.body),
            auth=self.row.auth,
            ignored=tuple(dict.fromkeys(builder.ignored)),
            caller_tool_names=builder.caller_tool_names,
            legacy_functions=builder.legacy_functions,
            names_tool=_names_tool(builder.body),
        )

    def parse_completion(self, body: Json) -> Completion:
        return completion.parse(self.row.name, self.row.quirks, body)

    def parse_stream(self, events: AsyncIterator[Sequence[StreamEvent]]) -> AsyncGenerator[list[Chunk]]:
        return stream.parse(self.row.name, self.row.quirks, events)

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return failure.from_reply(self.row.name, status, headers, body)


def _names_tool(body: JsonObject) -> bool:
    choice = body.get("tool_choice") or body.get("function_call")
    return isinstance(choice, dict) and not isinstance(choice.get("allowed_tools"), dict)


def provider(row: Row) -> OpenAI:
    """Return the provider that `row` defines."""
    return OpenAI(row)
