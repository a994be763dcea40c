"""Temperature, top_p, top_k and stop sequences. Support depends on the model's generation and on thinking.

Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility,
https://platform.claude.com/docs/en/models/opus-5-5/migration-guide, …/models/haiku-4-5/migration-guide.
"""

from tidegate.json import Json
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder

_MIN_TOP_P_WITH_THINKING = 0.95


def write(builder: AnthropicRequestBuilder) -> None:
    """Write the sampling fields that the model accepts, after `thinking`."""
    temperature, top_p, top_k = (builder.take(name) for name in ("temperature", "top_p", "top_k"))
    samplers = builder.capabilities.samplers
    if samplers == "none":
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            builder.leave_out(name, value)
    else:
        temperature = _supported_temperature(builder, temperature)
        if samplers == "one" and temperature not in (None, 1):
            builder.leave_out("top_p", top_p)
        elif top_p is not None:
            temperature = _write_top_p(builder, top_p, temperature)
        if temperature is not None:
            builder.body["temperature"] = temperature
        if top_k is not None and builder.thinking is None:
            builder.body["top_k"] = top_k
        else:
            builder.leave_out("top_k", top_k)
    _write_stop(builder)


def _supported_temperature(builder: AnthropicRequestBuilder, temperature: Json) -> Json:
    """Return the temperature if the model accepts it, else report it. Anthropic's maximum is 1, OpenAI's is 2."""
    if not isinstance(temperature, int | float):
        return None
    if temperature > 1 or (builder.thinking is not None and temperature != 1):
        builder.ignored.append("temperature")
        return None
    return temperature


def _write_top_p(builder: AnthropicRequestBuilder, top_p: Json, temperature: Json) -> Json:
    """Write top_p if the model accepts it. Return the temperature that can still be sent with it."""
    takes_one_sampler = builder.capabilities.samplers == "one"
    if builder.thinking is not None and isinstance(top_p, int | float) and top_p < _MIN_TOP_P_WITH_THINKING:
        builder.ignored.append("top_p")
    elif not (takes_one_sampler and top_p == 1):
        builder.body["top_p"] = top_p
        return None if takes_one_sampler else temperature  # 1 is the default temperature
    return temperature


def _write_stop(builder: AnthropicRequestBuilder) -> None:
    """Write the stop sequences, except blank ones, which Anthropic refuses."""
    stop_sequences: list[Json] = []
    for name in ("stop", "stop_sequences"):
        value = builder.take(name)
        for i, sequence in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(sequence, str) and sequence.strip():
                stop_sequences.append(sequence)
            elif sequence is not None:
                builder.ignored.append(f"{name}[{i}]" if isinstance(value, list) else name)
    if stop_sequences:
        builder.body["stop_sequences"] = stop_sequences
