"""The worst case of a chat request: the tokens and searches that a budget must have room for."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.chat.estimate import PromptEstimates
from tidegate.chat.fields import ChatFields
from tidegate.chat.messages import count_media
from tidegate.domain.operation import ModelLimits
from tidegate.domain.usage import MAX_SEARCHES_BELIEVED, TokenCounts
from tidegate.json import Json, JsonObject, encode
from tidegate.lazy import late_pattern, load

PROMPT_FACTOR, TEMPLATE_TOKENS, TOOLS_TOKENS, MEDIA_TOKENS = 1.75, 100, 400, 700
"""The factor on the estimated prompt; tokens added for the chat template, for tool definitions, and for each image,
document, recording or film, whose size in tokens is unknown.

Measured on 21 November 2026 on 1,395 recorded calls in OpenAI's dialect, Anthropic's and Converse's: 99.7 % took no
more input than was held (99.3 % of 534 with text alone, all 688 with tools, all 173 with media). The median call took
29 % of the hold, because most prompts are shorter than the added tokens. The median of the 51 calls without media whose
estimate was above a thousand tokens was 58 %. The hold is too low for a router that calls several models, and for a
template of 500 tokens (Snowflake). It is never less than `bound_body` of the body that is sent.
"""

MOST_TOKENS_PER_BYTE = 1.25
"""No text has a higher bound: a control character and a letter after it take 2.42 together, all others less. What
`bound_body` adds for a message is less than the syntax of that message has at this rate.
"""

SEARCH_RESULT_TOKENS = 32_000
"""Tokens held for what a provider's own tools read: search results, fetched pages, the output of code.

Enough for 57 of 64 recorded calls with such tools. Two of the others took 400,000; nothing in the request reveals the
tools of the remaining five: three of Groq's compound models, two with MCP servers.
"""

UNKNOWN_OUTPUT_TOKENS = 8192
"""Tokens held for the answer when neither the caller nor the catalogue limits its length.

None of 600 recorded answers without a limit was longer. With a limit, none of 351 answers (Anthropic's 326, OpenAI's
10, OpenRouter's and Bedrock's 7 each, one other) was longer than the limit, reasoning included.
"""

WEB_SEARCHES, MANY_WEB_SEARCHES = 5, 10
"""Searches held for a call that may search the web, and for one that asks for a high `search_context_size`."""

DEEP_SEARCHES = 50
"""Searches held for a call of a model that researches. Perplexity's example takes 30
(https://openrouter.ai/perplexity/sonar-deep-research, 2026-11).
"""

_ALWAYS_SEARCHES = late_pattern(r"deep-research|/sonar\b|-online$|search-preview|search-api|/compound\b")
"""Models that search without being asked to, by their ids in the catalogue.

Sources: https://docs.perplexity.ai/getting-started/models, https://console.groq.com/docs/compound,
https://developers.openai.com/api/docs/guides/tools-web-search, https://openrouter.ai/openai/o4-mini-deep-research
(2026-11).
"""

_SENT_LIMIT = late_pattern(rb'"(?:max_(?:completion_|output_)?tokens|max(?:Output)?Tokens)":\s?([0-9]{1,9})\b')
"""The limit of the answer in a body for a provider. In texts, the quotes are escaped."""

_SENT_BUDGET = late_pattern(rb'"(?:thinking_budget|budgetTokens)":\s?([0-9]{1,9})\b')
"""A budget for reasoning that comes on top of the limit, in a body for a provider: Qwen's, and that of Vercel's SDK
(https://www.alibabacloud.com/help/en/model-studio/deep-thinking, https://ai-sdk.dev/providers/ai-sdk-providers/anthropic,
2026-11).
"""

_CALLER_TOOLS = ("function", "custom")
"""Types of the tools that the caller runs; the provider runs all others."""

_MCP_SERVERS = "mcp_servers"
"""Anthropic's field for servers whose tools it calls, while it answers.

Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector (2026-11): only tokens are charged.
"""

_TOOL_FIELDS = frozenset({"tools", "functions", "web_search_options", _MCP_SERVERS})

IMAGE_ANSWER_TOKENS = 2_000
"""Tokens of an image in the answer, whatever the limit: Gemini's take 1,120 to 2,000, by their size
(https://ai.google.dev/gemini-api/docs/pricing, 2026-11).
"""

_IMAGE_FACTORS = {"gpt-4o-mini": 20}
"""Factors on the tokens of images by a part of the model's name. gpt-4o-mini takes 2,833 + 5,667 for each of up to
eight tiles (https://platform.openai.com/docs/guides/images-vision, 2026-11).
"""


def worst_case_tokens(
    fields: ChatFields | None,
    body: JsonObject,
    choices: int,
    output_limit: int | None,
    model: ModelLimits | None,
    sent: bytes | None,
    estimates: PromptEstimates,
    prompt_tokens: int,
) -> TokenCounts:
    """Return the tokens and searches to hold for the request, including tokens written to the provider's cache.

    `fields` is None for a plain request (see `ChatRequest`), which has no tools and no media. `body` is the caller's,
    `sent` the one for the provider: all that stands in it counts, whatever the field; `prompt_tokens` are estimated.
    An answer that may be sound or images counts as such: no model's rate for these is lower than for text, and no
    model's rate for reasoning is higher.

    Bytes are looked for with `find`: `in` first takes them for a number, and an error that is raised for that is dear.
    """
    traits = _NO_TRAITS if model is None else _traits_of(model.id, model.outputs, model.output_limit)
    own_searches, longest_answer, has_audio, may_speak, has_image = traits
    has_tools = own_searches > 0 or (fields is not None and not _TOOL_FIELDS.isdisjoint(body))
    prompt = math.ceil(prompt_tokens * PROMPT_FACTOR) + TEMPLATE_TOKENS
    if fields is not None:
        prompt += MEDIA_TOKENS * count_media(fields.messages)
    audio_input = image_input = 0
    if fields is not None or sent is None or len(sent) * MOST_TOKENS_PER_BYTE > prompt:
        bound = estimates.bound(sent or encode(body))
        if bound.image_input:
            bound = _image_factor(bound, model)
        if bound.input > prompt:
            prompt = bound.input
        audio_input, image_input = bound.audio_input, bound.image_input
    if has_tools:
        prompt += _tool_tokens(fields, body, own_searches, sent)
    answer = output_limit or _longest_answer(longest_answer, sent)
    if sent is not None and sent.find(b"udget") >= 0:
        answer += max(map(int, _SENT_BUDGET.findall(sent)), default=0)
    answer *= choices
    if "prediction" in body and body["prediction"] is not None:
        answer += _rejected_prediction(body["prediction"]) * choices
    if may_speak and sent is not None and sent.find(b'"AUDIO"') >= 0:
        has_audio = True
    if "modalities" in body:
        has_audio, has_image = _answer_kinds(body["modalities"], has_audio=has_audio, has_image=has_image)
    if has_image:
        answer = max(answer, IMAGE_ANSWER_TOKENS * choices)
    written = prompt if _writes_cache(body, sent) else 0
    searches = max(_searches(fields, body), own_searches) if has_tools else 0
    audio, image = answer if has_audio else 0, answer if has_image and not has_audio else 0
    # By position, in the order of `TokenCounts`: names would take longer than all the rest.
    return TokenCounts(prompt, answer, 0, written, 0, True, written, audio_input, audio, image_input, image, searches)


def _writes_cache(body: JsonObject, sent: bytes | None) -> bool:
    if sent is None:
        return encode(body).find(b'"cache_control"') >= 0
    return sent.find(b'"cache') >= 0 and (sent.find(b'"cache_control"') >= 0 or sent.find(b'"cachePoint"') >= 0)


def _answer_kinds(modalities: Json, *, has_audio: bool, has_image: bool) -> tuple[bool, bool]:
    """Return whether to expect sound and images if the request asks for these kinds of answers."""
    kinds = {str(kind).lower() for kind in modalities} if isinstance(modalities, list) else set[str]()
    return has_audio or "audio" in kinds, has_image or "image" in kinds


class _ModelTraits(NamedTuple):
    """Traits of a model that hold for all requests: its own searches, its longest answer, the kinds of its answers.

    A model of sound answers with it; one that can write as well must be asked for it (`may_speak`), perhaps in Gemini's
    own field. A model of images may answer with one although only text is asked for.
    """

    own_searches: int = 0
    longest_answer: int = UNKNOWN_OUTPUT_TOKENS
    has_audio: bool = False
    may_speak: bool = False
    has_image: bool = False


_NO_TRAITS = _ModelTraits()


@lru_cache(512)
def _traits_of(model_id: str, outputs: tuple[str, ...], output_limit: int | None) -> _ModelTraits:
    has_audio, may_write = "audio" in outputs, "text" in outputs
    return _ModelTraits(
        _own_searches(model_id),
        output_limit or UNKNOWN_OUTPUT_TOKENS,
        has_audio=has_audio and not may_write,
        may_speak=has_audio and may_write,
        has_image="image" in outputs,
    )


def _longest_answer(limit: int, sent: bytes | None) -> int:
    """Return the longest answer without the caller's limit: the model's, or a longer one that the provider is told."""
    if sent is None or sent.find(b"okens") < 0:
        return limit
    return max([limit, *map(int, _SENT_LIMIT.findall(sent))])


def _rejected_prediction(prediction: Json) -> int:
    """Return the tokens of a predicted answer, which OpenAI bills at the rate of the answer if it rejects them.

    Source: https://platform.openai.com/docs/guides/predicted-outputs (2026-11).
    """
    bound_utf8: Callable[[bytes], int] = load("tidegate.chat.text_bound", "bound_utf8")
    return bound_utf8(encode(prediction))


def _searches(fields: ChatFields | None, body: JsonObject) -> int:
    """Return the searches to hold. A tool may set its own maximum, `max_uses` (Anthropic)."""
    if fields is None:
        return 0
    tools = body.get("tools")
    search_tools = [
        tool for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict) and _is_search(tool)
    ]
    if fields.web_search_options is None and not search_tools:
        return 0
    options = [fields.web_search_options or {}, *search_tools]
    is_high = any(each.get("search_context_size") == "high" for each in options)
    maxima = [uses for tool in search_tools if isinstance(uses := tool.get("max_uses"), int)]
    return max([MANY_WEB_SEARCHES if is_high else WEB_SEARCHES, *(min(uses, MAX_SEARCHES_BELIEVED) for uses in maxima)])


def _own_searches(model_id: str) -> int:
    """Return the searches of a model that searches without being asked to."""
    if _ALWAYS_SEARCHES.search(model_id) is None:
        return 0
    return DEEP_SEARCHES if "deep-research" in model_id else WEB_SEARCHES


def _is_search(tool: Mapping[str, object]) -> bool:
    return "web_search" in str(tool.get("type"))


def _image_factor(bound: TokenCounts, model: ModelLimits | None) -> TokenCounts:
    factor = max((factor for name, factor in _IMAGE_FACTORS.items() if model and name in model.id), default=1)
    images = bound.image_input * factor
    return replace(bound, input=bound.input - bound.image_input + images, image_input=images)


def _tool_tokens(fields: ChatFields | None, body: JsonObject, own_searches: int, sent: bytes | None) -> int:
    """Return the tokens to hold for what providers add to tool definitions, and for what their own tools read."""
    if fields is None:
        return SEARCH_RESULT_TOKENS if own_searches else 0
    extra = TOOLS_TOKENS if fields.tools or fields.functions else 0
    own_tools = fields.web_search_options is not None or any(t.type not in _CALLER_TOOLS for t in fields.tools or ())
    if own_tools or body.get(_MCP_SERVERS) or own_searches or _sends_own_tool(body, sent):
        extra += SEARCH_RESULT_TOKENS
    return extra


def _sends_own_tool(body: JsonObject, sent: bytes | None) -> bool:
    """True if the provider is sent one of its own tools, which a translated request may lack."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        tool_type = tool.get("type") if isinstance(tool, dict) else "function"
        if tool_type not in _CALLER_TOOLS and (sent is None or f'"{tool_type}"'.encode() in sent):
            return True
    return False
