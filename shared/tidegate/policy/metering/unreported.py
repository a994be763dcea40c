"""The cost of a request whose usage was never reported: one rule for timeouts, cut streams, retries and hedges.

A provider that got a request and did not refuse it may have worked on it, and may charge for it. So the request costs
its prompt, as it was sent; the text that arrived; and an estimate of what the model generated unseen, never more than
the longest answer that the call holds. `docs/LIMITS.md` states the rule for readers.
"""

from msgspec.structs import replace

from tidegate.catalog import CatalogModel
from tidegate.chat.estimate import estimate_text
from tidegate.chat.worst_case import IMAGE_ANSWER_TOKENS
from tidegate.domain.call import SentAttempt
from tidegate.domain.operation import Request
from tidegate.domain.usage import ArrivedReply, TokenCounts
from tidegate.errors import ProviderMalformed, ProviderTimeout, ProviderUnreachable, StreamCut, UpstreamError

HIDDEN_TOKENS_PER_SECOND = 100
"""Tokens that a model is taken to generate unseen in each second: faster than most models, slower than the fastest."""

AUDIO_CHARACTERS_PER_TOKEN = 3_200
"""Characters in base64 of a token of streamed sound: 50 ms of pcm16 with 24,000 samples a second
(https://platform.openai.com/docs/guides/audio, 2026-11).
"""

NOTHING_ARRIVED = ArrivedReply()


def is_refusal(error: BaseException) -> bool:
    """True if the failed request costs nothing: the provider refused it, or reported its own failure, or never got it.

    False if the provider may have worked: a timeout, also one that the provider reports; a connection that broke; a
    reply that was cut, or that the gateway cannot read; a call in several requests of which some were answered.
    """
    if not isinstance(error, UpstreamError) or not error.was_sent:
        return True
    if error.has_answered_part:
        return False
    return not isinstance(error, ProviderTimeout | ProviderUnreachable | ProviderMalformed | StreamCut)


def unreported_tokens(
    attempt: SentAttempt,
    model: CatalogModel | None,
    now: float,
    reply: ArrivedReply = NOTHING_ARRIVED,
) -> TokenCounts:
    """Return the tokens that the attempt is charged for. `now` is in UTC seconds."""
    request = attempt.request
    prompt = request.prompt_tokens(attempt.body)
    worst_case = request.worst_case(model, attempt.body)
    longest = worst_case.output
    images = min(longest, IMAGE_ANSWER_TOKENS * reply.images)
    audio = min(longest, reply.audio_characters // AUDIO_CHARACTERS_PER_TOKEN)
    written = estimate_text(reply.generated.answer) + estimate_text(reply.generated.other)
    shown_reasoning = estimate_text(reply.generated.reasoning)
    arrived = written + shown_reasoning + images + audio
    seconds = max(0.0, (now if attempt.ended_at is None else attempt.ended_at) - attempt.started_at)
    makes_images = worst_case.image_output > 0
    hidden = _hidden_tokens(request, model, seconds, written, shown_reasoning, reply, makes_media=makes_images)
    output = max(arrived, min(longest, arrived + hidden))
    unseen = output - arrived
    return replace(
        prompt,
        output=output,
        reasoning=0 if makes_images else unseen,
        audio_output=audio + (unseen if worst_case.audio_output else 0),
        image_output=images + (unseen if makes_images else 0),
        estimated=True,
    )


def _hidden_tokens(
    request: Request,
    model: CatalogModel | None,
    seconds: float,
    written: int,
    shown_reasoning: int,
    reply: ArrivedReply,
    *,
    makes_media: bool,
) -> int:
    """Estimate the tokens that the model generated and that did not arrive.

    Reasoning comes before the text, so that it is complete once text arrives. A stream shows the text as it is
    generated: only reasoning, an image, or a reply that does not stream, is generated unseen, and what a caller does
    not take. The reasoning that is shown may be a summary: the rest of the usual reasoning is taken to be unseen.
    """
    usual_reasoning = max(0, request.hidden_reasoning(model, written) - shown_reasoning)
    reasoning = usual_reasoning if written else 0
    if reply.is_complete:
        return reasoning
    if usual_reasoning > 0 or model is None or not request.stream or (makes_media and not reply.images):
        return max(reasoning, round(HIDDEN_TOKENS_PER_SECOND * seconds) - shown_reasoning)
    return max(reasoning, round(HIDDEN_TOKENS_PER_SECOND * reply.stalled_seconds))
