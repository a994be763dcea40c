"""The fields of a request that ask for reasoning, unified as one `Reasoning`."""

from typing import Annotated, Literal, TypeVar, get_args

from msgspec import Meta, Struct

from tidegate.errors import InvalidRequest

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

EFFORTS = frozenset(get_args(Effort))
"""All efforts. Clients of other dialects may send newer ones, which only a provider of their dialect gets."""

_T = TypeVar("_T")


class Reasoning(Struct, frozen=True):
    """How much the model shall reason; the provider's default if `effort` and `max_tokens` (a token budget) are None.

    `exclude` leaves the reasoning out of the reply. With `enabled` False, `effort` and `max_tokens` are None.
    """

    enabled: bool = True
    effort: Effort | None = None
    max_tokens: int | None = None
    exclude: bool = False


class ReasoningOptions(Struct, frozen=True):
    """OpenRouter's object. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    effort: Effort | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class ThinkingOptions(Struct, frozen=True):
    """Neuroa's `{thinking, effort}` and Anthropic's `{type, budget_tokens}`, which share the name `thinking`.

    Neuroa's document requires both of its fields.
    """

    thinking: bool | None = None
    effort: Effort | None = None
    type: Literal["enabled", "disabled", "adaptive"] | None = None
    budget_tokens: Annotated[int, Meta(ge=0)] | None = None


def unify_reasoning(
    effort: Effort | None, reasoning: ReasoningOptions | None, thinking: ThinkingOptions | None
) -> Reasoning | None:
    """The three fields as one `Reasoning`; None if none was sent.

    Raises `InvalidRequest` if the fields contradict each other, or if `thinking` lacks a required field: a guess could
    cost the caller money.
    """
    if effort is None and reasoning is None and thinking is None:
        return None
    _require_whole(thinking)
    efforts: dict[str, Effort] = _present(
        ("reasoning_effort", effort),
        ("reasoning.effort", reasoning.effort if reasoning else None),
        ("thinking.effort", thinking.effort if thinking else None),
    )
    budgets = _present(
        ("reasoning.max_tokens", reasoning.max_tokens if reasoning else None),
        ("thinking.budget_tokens", thinking.budget_tokens if thinking else None),
    )
    switches = _present(
        ("reasoning.enabled", reasoning.enabled if reasoning else None),
        ("thinking.thinking", thinking.thinking if thinking else None),
        ("thinking.type", None if thinking is None or thinking.type is None else thinking.type != "disabled"),
    )
    agreed_effort, budget, enabled = _single_value(efforts), _single_value(budgets), _single_value(switches)
    if enabled is None:
        enabled = agreed_effort != "none" and budget != 0
    exclude = bool(reasoning and reasoning.exclude)
    if not enabled:
        return Reasoning(enabled=False, exclude=exclude)
    return Reasoning(True, None if agreed_effort == "none" else agreed_effort, budget or None, exclude)


def _require_whole(thinking: ThinkingOptions | None) -> None:
    """Refuse half of Neuroa's object. Objects of other providers have neither field, or a type beside them."""
    if thinking is None or thinking.type is not None or thinking.budget_tokens is not None:
        return
    if (thinking.thinking is None) != (thinking.effort is None):
        missing = "thinking.thinking" if thinking.thinking is None else "thinking.effort"
        message = f"{missing} is missing: send {{thinking, effort}}, or {{type, budget_tokens}}."
        raise InvalidRequest(message, param=missing)


def _present(*settings: tuple[str, _T | None]) -> dict[str, _T]:
    return {path: value for path, value in settings if value is not None}


def _single_value(settings: dict[str, _T]) -> _T | None:
    if len(set(settings.values())) > 1:
        conflict = ", ".join(f"{path} = {value!r}" for path, value in settings.items())
        message = f"These fields contradict each other: {conflict}. Send one of them."
        raise InvalidRequest(message, param=next(iter(settings)))
    return next(iter(settings.values()), None)
