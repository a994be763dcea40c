"""Temperature, top_p, top_k and stop sequences: what a model takes differs by its generation, and by whether it thinks.

Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility,
https://platform.claude.com/docs/en/models/opus-5-5/migration-guide, …/models/haiku-4-5/migration-guide.
"""

from tidegate.json import Json
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder

_MIN_TOP_P_WITH_THINKING = 0.95  # beside thinking


def write(draft: AnthropicRequestBuilder) -> None:
    temperature, top_p, top_k = (draft.take(name) for name in ("temperature", "top_p", "top_k"))
    samplers = draft.capabilities.samplers
    if samplers == "none":
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            draft.leave_out(name, value)
    else:
        temperature = _supported_temperature(draft, temperature)
        if samplers == "one" and temperature not in (None, 1):
            draft.leave_out("top_p", top_p)
        elif top_p is not None:
            temperature = _write_top_p(draft, top_p, temperature)
        if temperature is not None:
            draft.body["temperature"] = temperature
        if top_k is not None and draft.thinking is None:
            draft.body["top_k"] = top_k
        else:
            draft.leave_out("top_k", top_k)
    _write_stop(draft)


def _supported_temperature(draft: AnthropicRequestBuilder, temperature: Json) -> Json:
    """The temperature if it can be sent. Anthropic's ends at 1, OpenAI's at 2: a higher one is reported."""
    if not isinstance(temperature, int | float):
        return None
    if temperature > 1 or (draft.thinking is not None and temperature != 1):
        draft.ignored.append("temperature")
        return None
    return temperature


def _write_top_p(draft: AnthropicRequestBuilder, top_p: Json, temperature: Json) -> Json:
    """Write top_p where the model takes it; gives the temperature that may still go beside it."""
    takes_one_sampler = draft.capabilities.samplers == "one"
    if draft.thinking is not None and isinstance(top_p, int | float) and top_p < _MIN_TOP_P_WITH_THINKING:
        draft.ignored.append("top_p")
    elif not (takes_one_sampler and top_p == 1):
        draft.body["top_p"] = top_p
        return None if takes_one_sampler else temperature  # a temperature of 1 says nothing
    return temperature


def _write_stop(draft: AnthropicRequestBuilder) -> None:
    """Anthropic refuses sequences of nothing but white space."""
    stop_sequences: list[Json] = []
    for name in ("stop", "stop_sequences"):
        value = draft.take(name)
        for i, sequence in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(sequence, str) and sequence.strip():
                stop_sequences.append(sequence)
            elif sequence is not None:
                draft.ignored.append(f"{name}[{i}]" if isinstance(value, list) else name)
    if stop_sequences:
        draft.body["stop_sequences"] = stop_sequences
