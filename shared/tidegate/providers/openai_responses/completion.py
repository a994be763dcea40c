"""Translates a complete response: it is read like the last event of a stream, which has all of its items.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11).
"""

from tidegate.chat.assemble import CompletionAssembler
from tidegate.chat.completion import Chunk, Completion
from tidegate.errors import ProviderMalformed
from tidegate.json import Json
from tidegate.providers.openai_responses import failure
from tidegate.providers.openai_responses.stream import ResponsesStreamTranslator


def parse(provider: str, body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    if not isinstance(body, dict):
        raise ProviderMalformed(f"{provider} answered with something that is not a response.")
    if body.get("error") or body.get("status") in ("failed", "cancelled"):
        raise failure.from_event(provider, body)
    if not isinstance(body.get("output"), list):
        raise ProviderMalformed(f"{provider} answered without any output.")
    if body.get("status") in ("in_progress", "queued"):
        raise ProviderMalformed(f"{provider} answered with a response that has not ended.")
    chunks: list[Chunk] = []
    ResponsesStreamTranslator(provider).end_with(body, chunks)
    assembler = CompletionAssembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.reply()
