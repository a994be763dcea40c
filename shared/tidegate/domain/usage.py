"""Usage of a call: token counts, word counts and the bill."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Protocol, Required, TypedDict, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.workspace import WordsMethod
from tidegate.json import Json
from tidegate.lazy import late_pattern

UsageFault = Literal["clamped", "refused", "failed"]
"""A fault in the usage of a call, as its record names it.

"clamped": a part, such as the cached tokens, was greater than the whole or not a count, and was limited. "refused": a
total was not a count, or beyond what a model can read or write: our own estimate is billed. "failed": the bill could
not be calculated: what the call held is billed.
"""

MAX_SEARCHES_BELIEVED = 1_000
"""The most web searches that are billed for one call. Of 2,313 recorded calls, none took more than ten."""

INVALID_COUNT = -1
"""Stands for a count that a provider has reported, and that is not a count."""


class TokenCounts(Struct, frozen=True, gc=False):
    """Token counts of one call, and the number of web searches that the provider made for it.

    `input` includes `cached` (read from the prompt cache), `written` (written to it), `audio_input` and `image_input`;
    `audio_cached` are audio tokens among the cached ones, if reported; `written` includes `written_1h` (kept for an
    hour); `output` includes `reasoning`, `audio_output` and `image_output`.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    estimated: bool = False
    written_1h: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    searches: int = 0
    audio_cached: int = 0
    usage_fault: UsageFault | None = None


class WordCounts(Struct, frozen=True, gc=False):
    """Word counts of one call; `used` is what the workspace is charged for."""

    used: int
    input: int
    output: int
    method: WordsMethod


class GeneratedText(Struct, frozen=True, gc=False):
    """The text that a model has generated so far: `answer` for the reader, and the `reasoning` that it showed.

    `reasoning` may be a summary. `other` are tool arguments and the words of speech.
    """

    answer: str = ""
    reasoning: str = ""
    other: str = ""


class GeneratedTexts(Protocol):
    """The texts of `GeneratedText`, which may be joined when they are read."""

    @property
    def answer(self) -> str: ...
    @property
    def reasoning(self) -> str: ...
    @property
    def other(self) -> str: ...


class ArrivedReply(Struct, frozen=True):
    """The texts and the media of a reply that have arrived, and whether it `is_complete`. Its usage was not reported.

    `stalled_seconds` is how long the caller has not taken what arrived: the provider may have gone on meanwhile.
    """

    generated: GeneratedText = GeneratedText()
    is_complete: bool = False
    images: int = 0
    audio_characters: int = 0
    stalled_seconds: float = 0.0


class Bill(Struct, frozen=True, gc=False):
    """All metered figures of one call. `cost_usd` is None when the model has no price: never 0 for unknown."""

    tokens: TokenCounts
    words: WordCounts
    cost_usd: Decimal | None


class Usage(TypedDict, total=False):
    """Tokens of one call as OpenAI counts them: `prompt_tokens` include cached ones, `completion_tokens` the reasoning.

    A provider fills the token fields; `policy/metering/billing.py` adds words and cost.
    """

    prompt_tokens: Required[int]
    completion_tokens: Required[int]
    total_tokens: Required[int]
    prompt_tokens_details: dict[str, Json]  # cached_tokens, cache_write_tokens, audio_tokens, …
    completion_tokens_details: dict[str, Json]  # reasoning_tokens, audio_tokens, …
    server_tool_use: dict[str, Json]  # web_search_requests
    server_tool_use_details: dict[str, Json]  # OpenRouter's server_tool_use
    num_search_queries: int  # Perplexity's web_search_requests
    billed_units: dict[str, Json]  # input_tokens, output_tokens that Cohere charges for
    words_used: int
    words_details: dict[str, Json]  # input_words, output_words, method
    cost: float | None  # USD; null when the model has no price
    estimated: bool  # true if the provider reported no usage, or no count of the prompt, else absent


_SEARCH_FIELDS = frozenset({"server_tool_use", "server_tool_use_details", "num_search_queries"})
_PARTS = frozenset(
    {"cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_tokens", "image_tokens"}
    | {"cached_tokens_details", "reasoning_tokens"}
)
"""The fields of details that are counted. Others, such as `text_tokens`, pass through."""

_COUNT_AS_TEXT = late_pattern(r"\d{1,15}(\.\d{1,15})?", re.ASCII)


def parse_count(value: Json) -> int:
    """Return a count that a provider reports, also as text: 0 for null, `INVALID_COUNT` for what is not a count.

    Fractions are rounded up.
    """
    if type(value) is int and value >= 0:  # True is not a count
        return value
    if value is None:
        return 0
    if isinstance(value, str) and _COUNT_AS_TEXT.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0 <= value < math.inf:
        return math.ceil(value)
    return INVALID_COUNT


def merge_counts(earlier: Mapping[str, Json], later: Mapping[str, Json]) -> dict[str, Json]:
    """Return the usage that two events of one stream report. Counts of a stream are totals, which never fall.

    Some servers end a stream with zeros: of two numbers with one name, the larger is right. Null repeats nothing.
    """
    merged = dict(earlier)
    for name, value in later.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = merge_counts(before, value)
        elif value is not None and not (_is_number(before) and _is_number(value) and before > value):
            merged[name] = value
    return merged


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def add_counts(*counts: int) -> int:
    """Return the sum; `INVALID_COUNT` if one of them is."""
    return INVALID_COUNT if min(counts, default=0) < 0 else sum(counts)


def reported_counts(usage: Usage, max_input: int, max_output: int) -> TokenCounts | None:
    """Return the counts that a provider reports; None if a total is not a count, or beyond its maximum.

    Each part, such as the cached tokens, is limited to the whole. Their sum is not: OpenRouter reports tokens that were
    read from and written to a cache in one call twice, and charges for both (recorded in 2026).
    """
    if "prompt_tokens" in usage and "completion_tokens" in usage:
        input, output = usage["prompt_tokens"], usage["completion_tokens"]
        # A provider may report anything. True is not a count.
        if type(input) is int and type(output) is int and 0 <= input <= max_input and 0 <= output <= max_output:
            if len(usage) == 3 and "total_tokens" in usage:
                return TokenCounts(input, output)
            if _SEARCH_FIELDS.isdisjoint(usage):
                cached = _only_part(usage.get("prompt_tokens_details"), "cached_tokens", input)
                reasoning = _only_part(usage.get("completion_tokens_details"), "reasoning_tokens", output)
                if cached >= 0 and reasoning >= 0:
                    return TokenCounts(input, output, cached, 0, reasoning)
    return any_counts(usage, max_input, max_output)


def _only_part(details: object, name: str, whole: int) -> int:
    """Return the part `name` of the whole; `INVALID_COUNT` if it cannot be believed, or if there are other parts."""
    part = 0
    for key, count in _object(details).items() if details else ():
        if count is None or (type(count) is int and count == 0):
            continue
        if key == name and type(count) is int and 0 < count <= whole:
            part = count
        elif key in _PARTS:
            return INVALID_COUNT
    return part


def any_counts(usage: Usage, max_input: int, max_output: int) -> TokenCounts | None:
    """Return what `reported_counts` does. It takes longer, and reads any usage."""
    output = parse_count(usage.get("completion_tokens"))
    input = _reported_input(usage, output)
    if not (0 <= input <= max_input and 0 <= output <= max_output):
        return None
    prompt, completion = _object(usage.get("prompt_tokens_details")), _object(usage.get("completion_tokens_details"))
    is_clamped = False

    def part(value: Json, whole: int) -> int:
        nonlocal is_clamped
        if value is None:
            return 0
        if type(value) is int and 0 <= value <= whole:
            return value
        count = parse_count(value)
        is_clamped |= not 0 <= count <= whole
        return min(max(0, count), whole)

    cached, written = part(prompt.get("cached_tokens"), input), part(prompt.get("cache_write_tokens"), input)
    audio = part(prompt.get("audio_tokens"), input)
    counts = TokenCounts(
        input=input,
        output=output,
        cached=cached,
        written=written,
        reasoning=part(completion.get("reasoning_tokens"), output),
        written_1h=part(prompt.get("cache_write_1h_tokens"), written),
        audio_input=audio,
        audio_output=part(completion.get("audio_tokens"), output),
        image_input=part(prompt.get("image_tokens"), input),
        image_output=part(completion.get("image_tokens"), output),
        searches=part(_searches(usage), MAX_SEARCHES_BELIEVED),
        audio_cached=part(_object(prompt.get("cached_tokens_details")).get("audio_tokens"), min(audio, cached)),
    )
    return replace(counts, usage_fault="clamped") if is_clamped else counts


def _reported_input(usage: Usage, output: int) -> int:
    """Return the prompt tokens, with audio that the provider counts beside them.

    Mistral reports 9 prompt tokens, 375 audio tokens, 201 completion tokens, and a total of 585 (recorded in 2026).
    """
    prompt, total = parse_count(usage.get("prompt_tokens")), parse_count(usage.get("total_tokens"))
    audio = parse_count(_object(usage.get("prompt_tokens_details")).get("audio_tokens"))
    is_beside = 0 <= prompt < audio and total == add_counts(prompt, audio, output)
    return prompt + audio if is_beside else prompt


def _searches(usage: Usage) -> Json:
    """Return the number of web searches, under the names that Anthropic, OpenRouter and Perplexity use."""
    tools = _object(usage.get("server_tool_use") or usage.get("server_tool_use_details"))
    return tools.get("web_search_requests") or usage.get("num_search_queries")


def _object(value: object) -> dict[str, Json]:
    """Return the object, or an empty one where a provider sends null or nothing."""
    # JSON objects have text as names. Not `cast`, which is a call: this runs several times for each reply.
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
