"""Fields of a request that change its price or the model that answers, and which of them are sent.

Lengths and numbers of answers under other names than the caller's limit are such fields: nothing is held for them.

A field of `PRICE_FIELDS` is sent with a value at the usual price or a lower one, with a value whose price the catalogue
has for the model, or if the operator allows the field. A tool of `PRICE_TOOLS` is sent if the operator allows it. A
field of `MODEL_FIELDS` is sent unless the models of the workspace or the key are limited, or a budget in USD applies.
All others are left out and reported as ignored.

Each field names its source; all were read in 2026-11. Loaded only for requests that have one of these fields.
"""

import re
from collections.abc import Iterator, Set
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import load_catalog, price_options
from tidegate.chat.fields import TOOL_FIELDS
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import ConfigurationError, UnsupportedParameter
from tidegate.json import Json, JsonObject

_Path = tuple[str, ...]


class PriceField(Struct, frozen=True):
    """A field that changes the price, by its `path`, in which `*` is any name.

    `usual` are its values at the usual price or a lower one. `is_refused`: to leave it out would change the meaning.
    """

    path: str
    source: str
    usual: tuple[Json, ...] = ()
    is_refused: bool = False


class PriceTool(Struct, frozen=True):
    """A tool that providers run for a price that the catalogue does not have; `type_pattern` matches its type.

    It is free at the providers `free_at`. All others may charge for it, also one that only hands it on to another. The
    operator allows it by its `path`.
    """

    path: str
    type_pattern: str
    source: str
    free_at: frozenset[str] = frozenset()


class ModelField(Struct, frozen=True):
    """A field that can lead to another model than the requested one."""

    path: str
    source: str


_TIERS = (
    "https://developers.openai.com/api/docs/guides/fast-mode https://console.groq.com/docs/service-tiers "
    "https://docs.fireworks.ai/serverless/priority-and-fast https://ai.google.dev/gemini-api/docs/optimization "
    "https://platform.claude.com/docs/en/api/service-tiers"
)
_CONVERSE = "https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html"
_VERCEL = "https://vercel.com/docs/ai-gateway/models-and-providers/provider-options"
_ARMOR = "https://cloud.google.com/security-command-center/pricing"
_GENERATE = "https://ai.google.dev/api/generate-content#generationconfig"
_ONE_ANSWER = (1,)
_MODEL_PARAMETERS = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"
_MODEL_LENGTHS = (
    *("max_tokens", "max_new_tokens", "max_tokens_to_sample", "max_completion_tokens", "max_output_tokens"),
    *("max_length", "max_gen_len", "maxTokens", "maxOutputTokens", "maxTokenCount"),
)
_MODEL_COUNTS = ("n", "best_of", "num_generations", "num_return_sequences", "numResults", "candidate_count")
_OTHER_NAMES = (
    "https://docs.vllm.ai/en/latest/serving/openai_compatible_server/ https://docs.together.ai/reference/completions "
    "https://huggingface.co/docs/text-generation-inference https://docs.ollama.com/modelfile "
    "https://github.com/ggml-org/llama.cpp/tree/master/tools/server"
)
_LENGTHS = (
    *(
        "max_new_tokens",
        "max_output_tokens",
        "max_length",
        "max_gen_len",
        "max_tokens_to_sample",
        "max_tokens_to_generate",
    ),
    *("maxTokens", "maxOutputTokens", "maxCompletionTokens", "n_predict", "num_predict"),
    *("options.num_predict", "parameters.max_new_tokens", "parameters.max_tokens"),
)
_COUNTS = (
    *("best_of", "num_choices", "num_return_sequences", "num_generations", "numResults", "candidate_count"),
    *("candidateCount", "n_completions", "num_completions", "parameters.num_return_sequences", "parameters.best_of"),
)
_MODEL_OBJECTS = ("", "inferenceConfig.")
_CLIENT_ONLY = "OpenAI's SDK merges it into the request; a proxy that takes it as a field would do so for any field"

PRICE_FIELDS = (
    PriceField("service_tier", _TIERS, ("auto", "default", "standard", "standard_only", "on_demand", "flex")),
    PriceField("serviceTier", _CONVERSE, ("default", "standard", "flex", {"type": "default"}, {"type": "flex"})),
    PriceField("performanceConfig", _CONVERSE, ({"latency": "standard"},)),
    PriceField("additionalModelRequestFields.service_tier", _CONVERSE),
    PriceField("additionalModelRequestFields.speed", _CONVERSE, ("standard",)),
    PriceField("additionalModelRequestFields.inference_geo", _CONVERSE, ("global",), is_refused=True),
    *(
        PriceField(f"additionalModelRequestFields.{part}{name}", _MODEL_PARAMETERS, usual)
        for part in _MODEL_OBJECTS
        for names, usual in ((_MODEL_LENGTHS, ()), (_MODEL_COUNTS, _ONE_ANSWER))
        for name in names
    ),
    PriceField("speed", "https://platform.claude.com/docs/en/build-with-claude/fast-mode", ("standard",)),
    PriceField(
        "inference_geo",
        "https://platform.claude.com/docs/en/manage-claude/data-residency",
        ("global",),
        is_refused=True,
    ),
    PriceField("providerOptions.*.serviceTier", _VERCEL, ("auto", "default", "standard", "flex")),
    PriceField("providerOptions.*.service_tier", _VERCEL, ("auto", "default", "standard", "flex")),
    PriceField("providerOptions.*.speed", _VERCEL, ("standard",)),
    PriceField("providerOptions.*.inferenceGeo", _VERCEL, ("global",), is_refused=True),
    PriceField("guardrailConfig", "https://aws.amazon.com/bedrock/pricing/ (Guardrails)"),
    PriceField("modelArmorConfig", _ARMOR),
    PriceField("model_armor_config", _ARMOR),
    PriceField("search_type", "https://docs.perplexity.ai/getting-started/pricing", ("fast", "web")),
    PriceField("web_search_options.search_type", "https://docs.perplexity.ai/getting-started/pricing", ("fast", "web")),
    PriceField("search_parameters", "https://docs.x.ai/docs/guides/live-search", ({"mode": "off"},)),
    PriceField("generationConfig.candidateCount", _GENERATE, _ONE_ANSWER),
    PriceField("generationConfig.candidate_count", _GENERATE, _ONE_ANSWER),
    PriceField("generation_config.candidateCount", _GENERATE, _ONE_ANSWER),
    PriceField("generation_config.candidate_count", _GENERATE, _ONE_ANSWER),
    *(PriceField(path, _OTHER_NAMES) for path in _LENGTHS),
    *(PriceField(path, _OTHER_NAMES, _ONE_ANSWER) for path in _COUNTS),
    PriceField("extra_body", _CLIENT_ONLY),
    PriceField("extra_headers", _CLIENT_ONLY),
    PriceField("extra_query", _CLIENT_ONLY),
)

_GOOGLE = frozenset({"gemini", "vertex"})
_GROUNDING = "https://ai.google.dev/gemini-api/docs/pricing"
_TOOLS = "https://developers.openai.com/api/docs/pricing"
_XAI_TOOLS = "https://docs.x.ai/developers/pricing"

PRICE_TOOLS = (
    PriceTool(
        "tools.code_execution",
        r"code_execution(_\d+)?",
        f"https://platform.claude.com/docs/en/about-claude/pricing#code-execution-tool {_XAI_TOOLS}",
        _GOOGLE,
    ),
    PriceTool("tools.code_interpreter", "code_interpreter", f"{_TOOLS} {_XAI_TOOLS}", _GOOGLE),
    PriceTool("tools.file_search", "file_search", f"{_TOOLS} {_XAI_TOOLS}"),
    PriceTool("tools.image_generation", "(openrouter:)?image_generation", _TOOLS),
    PriceTool("tools.x_search", "x_search", _XAI_TOOLS),
    PriceTool("tools.attachment_search", "attachment_search", _XAI_TOOLS),
    PriceTool("tools.google_maps", "google_maps|googleMaps", _GROUNDING),
    PriceTool("tools.enterprise_web_search", "enterprise_web_search|enterpriseWebSearch", _GROUNDING),
)

_OPENROUTER = "https://openrouter.ai/docs/features/model-routing https://openrouter.ai/docs/features/presets"
_LITELLM = "https://docs.litellm.ai/docs/proxy/reliability https://docs.litellm.ai/docs/proxy/clientside_auth"
_VERTEX = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference"

MODEL_FIELDS = (
    *(ModelField(path, _OPENROUTER) for path in ("route", "preset", "plugins")),
    ModelField("providerOptions.gateway.models", _VERCEL),
    *(ModelField(path, _LITELLM) for path in ("context_window_fallbacks", "content_policy_fallbacks")),
    *(ModelField(path, _LITELLM) for path in ("default_fallbacks", "fallback_models", "model_list")),
    *(ModelField(path, _LITELLM) for path in ("router_settings_override", "user_config", "custom_llm_provider")),
    *(ModelField(path, _LITELLM) for path in ("api_base", "base_url")),
    *(
        ModelField(f"{folder}{name}", _VERTEX)
        for folder in ("", "generationConfig.", "generation_config.")
        for name in ("routingConfig", "routing_config", "modelSelectionConfig", "model_selection_config")
    ),
)

MODEL_TOOLS = re.compile(r"advisor_|openrouter:(?!web_search|web_fetch|datetime)")
"""Types of tools that ask another model.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool,
https://openrouter.ai/docs/features/server-tools (2026-11).
"""


def without_unpriced(
    call: ChatCall, deployment: Deployment, allowed: Set[str] = frozenset()
) -> tuple[ChatCall, tuple[str, ...]]:
    """Return the call without the fields that must not reach the deployment, and the paths of these fields.

    `allowed` are the paths of `PRICE_FIELDS` and `PRICE_TOOLS` that the operator allows. Raises `UnsupportedParameter`
    for a field that cannot be left out.
    """
    body = call.request.body
    left_out = list(_unpriced_paths(body, deployment, allowed))
    dropped_tools = _unpriced_indices(body, deployment, allowed)
    if _is_limited(call):
        left_out += [keys for field in MODEL_FIELDS for keys, _ in _find(body, field.path.split("."))]
        asking = [i for i, tool in enumerate(_tools(body)) if _asks_a_model(tool)]
        dropped_tools = sorted({*dropped_tools, *asking})
    if not left_out and not dropped_tools:
        return call, ()
    names = (*map(".".join, left_out), *(f"tools[{i}]" for i in dropped_tools))
    if not dropped_tools and all(len(keys) == 1 for keys in left_out):
        return replace(call, request=call.request.without_fields(names)), names
    for keys in left_out:
        body = _without(body, keys)
    if dropped_tools:
        body = _without_tools(body, dropped_tools)
    return replace(call, request=call.request.with_body(body)), names


def parse_allowed(text: str) -> frozenset[str]:
    """Return the paths in the operator's list, separated by commas. Raises `ConfigurationError` for an unknown one."""
    paths = frozenset(path.strip() for path in text.split(",")) - {""}
    known = sorted([field.path for field in PRICE_FIELDS] + [tool.path for tool in PRICE_TOOLS])
    unknown = sorted(paths.difference(known))
    if unknown:
        message = f"{unknown[0]!r} is not a field that changes the price; these are {', '.join(known)}."
        raise ConfigurationError(f"TIDEGATE_ALLOWED_PRICE_FIELDS: {message}")
    return paths


def _unpriced_paths(body: JsonObject, deployment: Deployment, allowed: Set[str]) -> Iterator[_Path]:
    for field in PRICE_FIELDS:
        for keys, value in _find(body, field.path.split(".")) if field.path not in allowed else ():
            if value is None or value in field.usual or _has_price(deployment, keys, value):
                continue
            if field.is_refused:
                path = ".".join(keys)
                message = f"{path} {value!r} changes the price, and its price for {deployment.model_id} is not known."
                raise UnsupportedParameter(message, param=path)
            yield keys


def _has_price(deployment: Deployment, keys: _Path, value: Json) -> bool:
    options = price_options({keys[0]: value}) if len(keys) == 1 else ()
    model = load_catalog().find_model(deployment.model_id) if options else None
    return model is not None and any(option in model.variants or option in model.factors for option in options)


def _is_limited(call: ChatCall) -> bool:
    """True if the models of the workspace or the key are limited, or a budget in USD applies."""
    return any(
        limits.models is not None
        or limits.providers is not None
        or any(budget.unit == "usd" for budget in limits.budgets())
        for limits in (call.workspace.effective_limits, call.principal.limits)
    )


def _find(value: Json, names: list[str], parents: _Path = ()) -> Iterator[tuple[_Path, Json]]:
    """Yield the keys and the value of every field at the path."""
    if not isinstance(value, dict):
        return
    name, *rest = names
    for key in list(value) if name == "*" else [name] if name in value else ():
        if rest:
            yield from _find(value[key], rest, (*parents, key))
        else:
            yield (*parents, key), value[key]


def _without(body: JsonObject, keys: _Path) -> JsonObject:
    """Return a copy of the object without the field; objects that are on its path are copied as well."""
    name, *rest = keys
    inner = body.get(name)
    if rest and isinstance(inner, dict):
        return {**body, name: _without(inner, tuple(rest))}
    return {key: value for key, value in body.items() if key != name}


def _tools(body: JsonObject) -> list[Json]:
    tools = body.get("tools")
    return tools if isinstance(tools, list) else []


@lru_cache(maxsize=64)
def _unpriced_tools(provider: str, allowed: frozenset[str]) -> re.Pattern[str] | None:
    """Return the pattern of the types of tools that the provider must not get; None if it may get all."""
    patterns = [tool.type_pattern for tool in PRICE_TOOLS if provider not in tool.free_at and tool.path not in allowed]
    return re.compile("|".join(patterns)) if patterns else None


def _unpriced_indices(body: JsonObject, deployment: Deployment, allowed: Set[str]) -> list[int]:
    pattern = _unpriced_tools(deployment.provider, frozenset(allowed))
    if pattern is None:
        return []
    return [
        i for i, tool in enumerate(_tools(body)) if isinstance(tool, dict) and pattern.fullmatch(str(tool.get("type")))
    ]


def _asks_a_model(tool: Json) -> bool:
    return isinstance(tool, dict) and MODEL_TOOLS.match(str(tool.get("type"))) is not None


def _without_tools(body: JsonObject, dropped: list[int]) -> JsonObject:
    tools = [tool for i, tool in enumerate(_tools(body)) if i not in dropped]
    if tools:
        return {**body, "tools": tools}
    return {name: value for name, value in body.items() if name not in TOOL_FIELDS}
