"""OpenTelemetry's client metrics of a finished call: each value is a histogram of its own, of one call. Pure.

Their names, units and buckets are those of release 0.1.0. Later drafts rename them, and no release has the new names.

Source: https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-metrics.md, read 2026-11).
"""

from collections.abc import Sequence

from msgspec import Struct

from tidegate.domain.call import Outcome
from tidegate.domain.otel import ATTEMPT_ATTRIBUTES, Attempt, Attributes, attempts_of, time_to_first_chunk

_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(4**power for power in range(14))

_DIMENSIONS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")
"""The names that the conventions require or recommend for all three metrics."""


class Measurement(Struct, frozen=True, kw_only=True):
    """One value of a histogram with these upper `bounds` of its buckets. Times are UTC seconds."""

    name: str
    unit: str
    bounds: Sequence[float]
    value: float
    attributes: Attributes
    started_at: float
    ended_at: float


def measurements_of(outcome: Outcome) -> list[Measurement]:
    """List the measurements of a call; none if no provider was asked. Tokens are those that are billed."""
    attempts = attempts_of(outcome)
    if not attempts:
        return []
    attempt = next((attempt for attempt in attempts if attempt.has_usage), attempts[-1])
    found = {name: ATTEMPT_ATTRIBUTES[name](outcome, attempt) for name in _DIMENSIONS}
    attributes: Attributes = {name: value for name, value in found.items() if value is not None}
    failed: Attributes = {"error.type": attempt.error} if attempt.error else {}
    started, ended = attempts[0].started, attempt.started if attempt.ended is None else attempt.ended

    def measure(name: str, unit: str, bounds: Sequence[float], value: float, more: Attributes) -> Measurement:
        return Measurement(
            name=f"gen_ai.client.{name}",
            unit=unit,
            bounds=bounds,
            value=value,
            attributes={**attributes, **more},
            started_at=outcome.call.started_at,
            ended_at=outcome.finished_at,
        )

    measurements = [measure("operation.duration", "s", _SECONDS, max(0.0, ended - started), failed)]
    first_chunk = time_to_first_chunk(outcome, attempt)
    if first_chunk is not None:
        measurements.append(measure("operation.time_to_first_chunk", "s", _SECONDS, first_chunk, {}))
    for kind, count in _billed_tokens(outcome, attempt).items():
        measurements.append(measure("token.usage", "{token}", _TOKENS, count, {"gen_ai.token.type": kind}))
    return measurements


def _billed_tokens(outcome: Outcome, attempt: Attempt) -> dict[str, int]:
    tokens = outcome.bill.tokens
    has_counts = attempt.is_answering or tokens.input or tokens.output
    return {"input": tokens.input, "output": tokens.output} if has_counts else {}
