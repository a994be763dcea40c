"""Usage of a call: token counts, word counts and the bill."""

from decimal import Decimal
from typing import Required, TypedDict

from msgspec import Struct

from tidegate.domain.workspace import WordsMethod
from tidegate.json import Json


class TokenCounts(Struct, frozen=True):
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


class WordCounts(Struct, frozen=True):
    """Word counts of one call; `used` is what the workspace is charged for."""

    used: int
    input: int
    output: int
    method: WordsMethod


class GeneratedText(Struct, frozen=True):
    """The text that a model has generated so far: `answer` for the reader, `hidden` is reasoning and tool arguments."""

    answer: str = ""
    hidden: str = ""


class Bill(Struct, frozen=True):
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
    estimated: bool  # true if the provider reported no usage, else absent
