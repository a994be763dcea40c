"""Writes `shared/tidegate/catalog/models.json`. Run it at development time, from the root: `python infra/catalog.py`.

It takes the models for chat and embeddings of genai-prices (https://github.com/pydantic/genai-prices, MIT; in the
dependency group `test`) under Tidegate's provider names, adds the models of `additions.json`, and applies the rules of
`families.json`, each with its source and date. A rule applies to the ids, in lower case, in which one of its
expressions is found. If two rules set one field, the later one wins, but `factors` are added to the others; null
removes the field. Rules for `parameters` set the names (`has`), add some (`adds`) or remove some (`lacks`); `reasoning`
limits such a rule to some kinds of reasoning. `rates` are prices that genai-prices lacks, for all prices of a model.
The `aliases` lead from names in the documents of other gateways, as whole expressions, to the provider's own names.

`--checked 2026-11-21` sets the day for which prices are chosen; the default is today.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import cast

from genai_prices import data
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

CATALOG_FOLDER = Path(__file__).parent.parent / "shared/tidegate/catalog"
Row = dict[str, object]

PROVIDER_NAMES = {
    "anthropic": "anthropic",
    "aws": "bedrock",
    "azure": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "groq": "groq",
    "meta": "meta",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshot",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together": "together",
    "voyageai": "voyage",
    "x-ai": "xai",
    "zai": "zai",
}
"""Tidegate's name of each provider by its name in genai-prices. `origins` splits Google and Hugging Face."""

SERVED_MODELS = {
    "azure": re.compile(r"^(?!.*:free$)"),
    "mistral": re.compile(r"^(?!.*:free$)"),
    "openai": re.compile(r"^(?!gpt-oss|gpt-4o:extended$)"),
    "perplexity": re.compile(r"^(?!pplx-embed)"),  # its vectors are 8-bit numbers, which no client of OpenAI's reads
}
"""The models that a provider really serves, where genai-prices lists open weights that only other providers run."""

RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "written",
    "cache_write_1h_mtok": "written_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "cache_audio_read_mtok": "audio_cached",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
    "requests_kcount": "request",
    "web_searches_kcount": "search",
}

FAMILY_FIELDS = ("context_window", "output_limit", "dimensions", "inputs", "outputs", "reasoning", "factors")
"""The fields that `families.json` sets, besides `parameters`."""

PRICE_OPTIONS = ("service_tier", "speed", "processing")
"""The options whose prices genai-prices has as variants: fields of a request, and "processing" for batches."""

HALF = "0.5"

TOKEN_RATES = frozenset(RATES.values()) - {"request", "search"}

ANY_MODEL = re.compile("")

NOT_CHAT = re.compile(
    r"embed|rerank|moderation|whisper|transcribe|realtime|orpheus|-tts|-live|-ocr|voice"
    r"|^(tts|gpt-image|chatgpt-image|ada|babbage|curie|davinci|text-davinci)\b"
)
"""Models that have no chat completions endpoint."""

NOT_CHATTING = frozenset({"embeddings", "rerank", "moderation"})
"""The outputs of models for other operations than chat. Of the rules, only those for `embeddings` apply to them."""

EMBEDDINGS = re.compile(r"embed|^voyage-(?!multimodal|context)")
"""Models that turn texts into vectors, by their names. Voyage has endpoints of their own for the others."""


@dataclass(frozen=True)
class Origin:
    """A provider of genai-prices under Tidegate's name; `suffix` is appended to the names of its models."""

    name: str
    provider: Provider
    suffix: str = ""
    accepts: re.Pattern[str] = ANY_MODEL


def origins() -> Iterator[Origin]:
    for provider in data.providers:
        if provider.id in PROVIDER_NAMES:
            yield Origin(PROVIDER_NAMES[provider.id], provider, accepts=SERVED_MODELS.get(provider.id, ANY_MODEL))
        elif provider.id == "google":
            yield Origin("vertex", provider)
            yield Origin("gemini", provider, accepts=re.compile(r"^(gemini|gemma)(?!.*-maas)"))
        elif provider.id.startswith("huggingface_"):
            # https://huggingface.co/docs/inference-providers: the router takes `model:provider`.
            yield Origin("huggingface", provider, suffix=":" + provider.id.removeprefix("huggingface_"))


def provider_model_id(model: ModelInfo) -> str:
    """The provider's name for the model: its id in genai-prices, unless its own rule rejects that (a mere label)."""
    american = model.id.replace("regional.", "us.")  # Bedrock's inference profiles: one per continent, at one price
    equal = [clause[1:] for clause in clauses(model.match, "") if clause[0] == "="]
    return next((name for name in (american, model.id, *equal) if model.is_match(name)), model.id)


def is_embedding_model(model: ModelInfo) -> bool:
    return EMBEDDINGS.search(model.id.lower()) is not None


def is_served(model: ModelInfo) -> bool:
    """True for the models that the gateway has an operation for."""
    return is_embedding_model(model) or is_chat_model(model)


def is_chat_model(model: ModelInfo) -> bool:
    """True for chat models: all other kinds are matched by `NOT_CHAT`, or have prices but none for output tokens."""
    prices = plain_prices(model)
    return not NOT_CHAT.search(model.id.lower()) and ("output_mtok" in prices or not prices)


def plain_prices(model: ModelInfo) -> Mapping[str, object]:
    last = model.prices if isinstance(model.prices, ModelPrice) else model.prices[-1].prices
    return {key: value for key, value in vars(last).items() if value is not None}


def clauses(match: MatchLogic, suffix: str) -> list[str]:
    """A rule of genai-prices in the notation of `tidegate/catalog/names.py`: it matches if one of the clauses does."""
    match match:
        case ClauseOr():
            return [clause for part in match.or_ for clause in clauses(part, suffix)]
        case ClauseEquals():
            return ["=" + match.equals.lower() + suffix]
        case ClauseStartsWith() if not suffix:
            return ["^" + match.starts_with.lower()]
        case ClauseEndsWith() if not suffix:
            return ["$" + match.ends_with.lower()]
        case ClauseContains() if not suffix:
            return ["~" + match.contains.lower()]
        case ClauseRegex() if not suffix:
            return ["/" + match.regex]
        case ClauseAnd() if not suffix:
            return ["/" + "".join(lookahead(part) for part in match.and_)]
        case _:
            raise ValueError(f"{match!r} has no notation in tidegate/catalog/names.py yet: add one")


def lookahead(match: MatchLogic) -> str:
    alternatives = "|".join(map(expression, clauses(match, "")))
    return f"^(?={alternatives})"


def expression(clause: str) -> str:
    value = re.escape(clause[1:])
    patterns = {"=": f"{value}$", "^": value, "$": f".*{value}$", "~": f".*{value}", "/": f".*(?:{clause[1:]})"}
    return patterns[clause[0]]


def rates(prices: ModelPrice, above: int = -1) -> Row:
    """The rates for inputs of more than `above` tokens, by their names in the catalogue; by default the base rates."""
    rates_by_name: Row = {}
    for key, name in RATES.items():
        value = getattr(prices, key)
        if isinstance(value, TieredPrices):
            reached = [tier.price for tier in value.tiers if tier.start <= above]
            value = reached[-1] if reached else value.base
        if value is not None:
            rates_by_name[name] = f"{value.normalize():f}"
    return rates_by_name


def price(prices: ModelPrice, constraint: StartDateConstraint | TimeOfDateConstraint | None = None) -> Row:
    price_row = rates(prices)
    tiered = [value for value in vars(prices).values() if isinstance(value, TieredPrices)]
    starts = sorted({tier.start for value in tiered for tier in value.tiers})
    if starts:
        price_row["tiers"] = [{"above": start} | rates(prices, start) for start in starts]
    match constraint:
        case StartDateConstraint():
            price_row["since"] = constraint.start_date.isoformat()
        case TimeOfDateConstraint():
            price_row["between"] = [minutes(constraint.start_time), minutes(constraint.end_time)]
        case None:
            pass
    return price_row


def minutes(moment: time) -> int:
    if moment.tzinfo not in (None, UTC) or moment.second:
        raise ValueError(f"{moment!r} is not a whole minute in UTC")
    return moment.hour * 60 + moment.minute


def price_list(model: ModelInfo, checked: date) -> list[Row]:
    """The price in force on the day `checked`, then those that replace it later, or at certain hours."""
    if isinstance(model.prices, ModelPrice):
        rows = [price(model.prices)]
    else:
        base = max(i for i, each in enumerate(model.prices) if i == 0 or has_begun(each, checked))
        rows = [price(model.prices[base].prices)]
        rows += [price(each.prices, each.constraint) for each in model.prices[base + 1 :]]
    if rows == [{}]:
        return [{"input": "0", "output": "0"}] if model.id.endswith(":free") else []
    return rows


def variants(model: ModelInfo, checked: date) -> dict[str, Row]:
    """The prices on the day `checked` for values of `PRICE_OPTIONS`, such as "service_tier=flex".

    Exactly half of the usual price, as most batches have, is a factor instead: `half_prices`.
    """
    rows: dict[str, Row] = {}
    noon = datetime.combine(checked, time(12), UTC)
    usual_price = price(model.get_prices(noon))
    for variant in model.price_variants or ():
        (option, *others) = [(name, value) for name, value in variant.when.items()]
        if option[0] in PRICE_OPTIONS and not others:
            row = price(model.get_prices(noon, dict(variant.when)))
            if row != usual_price and not (option[0] == "processing" and is_half(row, usual_price)):
                rows["=".join(option)] = row
    return rows


def half_prices(model: ModelInfo, checked: date) -> dict[str, str]:
    """The options that cost exactly half of the usual price on the day `checked`, with their factor."""
    noon = datetime.combine(checked, time(12), UTC)
    usual_price = price(model.get_prices(noon))
    found = (variant.when for variant in model.price_variants or () if set(variant.when) == {"processing"})
    return {
        f"processing={when['processing']}": HALF
        for when in found
        if is_half(price(model.get_prices(noon, dict(when))), usual_price)
    }


def is_half(row: Row, usual_price: Row) -> bool:
    """True if all rates of tokens are half of the usual ones, and all else is equal."""
    doubled = {name: doubled_rates(value) if name == "tiers" else value for name, value in row.items()}
    return doubled_rates(doubled) == usual_price


def doubled_rates(value: object) -> object:
    """The price with all of its rates of tokens doubled, and those in a list of tiers."""
    if isinstance(value, list):
        return [doubled_rates(each) for each in cast(list[Row], value)]
    return {
        name: f"{(Decimal(str(rate)) * 2).normalize():f}" if name in TOKEN_RATES else rate
        for name, rate in cast(Row, value).items()
    }


def has_begun(conditional_price: ConditionalPrice, checked: date) -> bool:
    match conditional_price.constraint:
        case None:
            return True
        case StartDateConstraint():
            return conditional_price.constraint.start_date <= checked
        case TimeOfDateConstraint():
            return False


def model_row(model: ModelInfo, checked: date) -> Row:
    prices = price_list(model, checked)
    keys = {key for each in prices for key in each}
    fields: Row = {
        "name": model.name,
        "context_window": model.context_window,
        "inputs": ["text", *(kind for kind in ("image", "audio") if f"{kind}_input" in keys)],
        "outputs": ["text", *(kind for kind in ("image", "audio") if f"{kind}_output" in keys)],
        "deprecated": model.deprecated,
        "prices": prices,
        "variants": variants(model, checked),
        "factors": half_prices(model, checked),
    }
    if fields["inputs"] == ["text"] == fields["outputs"]:
        del fields["inputs"], fields["outputs"]  # genai-prices does not tell whether the model is text only
    if is_embedding_model(model):
        fields |= {"inputs": ["text"], "outputs": ["embeddings"]}
        fields["prices"] = [{"output": "0", **each} for each in prices]
    return {key: value for key, value in fields.items() if value}


def provider_row(members: Sequence[Origin], checked: date) -> Row:
    first = members[0].provider
    pages = first.pricing_urls or []
    falls_back = [PROVIDER_NAMES[name] for name in first.fallback_model_providers or ()]
    if members[0].name == "gemini":
        falls_back = []
    fields: Row = {
        "source": " ".join([f"genai-prices {version('genai-prices')}", *pages[:2]]),
        "checked": checked.isoformat(),
        "falls_back": falls_back,
        "rules": list(alias_rules(members)),
    }
    return {key: value for key, value in fields.items() if value}


def alias_rules(members: Sequence[Origin]) -> Iterator[list[str]]:
    for origin in members:
        for model in origin.provider.models:
            if not is_served(model) or not origin.accepts.search(model.id):
                continue
            name = provider_model_id(model) + origin.suffix
            clauses_of_model = [*clauses(model.match, origin.suffix), "=" + model.id.lower() + origin.suffix]
            other_clauses = [clause for clause in dict.fromkeys(clauses_of_model) if clause != "=" + name.lower()]
            if other_clauses:
                yield [name, *other_clauses]


def catalog(checked: date) -> dict[str, Row]:
    """The content of `models.json`: its sections, each sorted by name."""
    models: dict[str, Row] = {}
    members: dict[str, list[Origin]] = {}
    for origin in origins():
        members.setdefault(origin.name, []).append(origin)
        for model in origin.provider.models:
            if is_served(model) and origin.accepts.search(model.id):
                models[f"{origin.name}/{provider_model_id(model)}{origin.suffix}"] = model_row(model, checked)
    providers = {name: provider_row(origins_of, checked) for name, origins_of in members.items()}
    for name, row in json.loads((CATALOG_FOLDER / "additions.json").read_bytes())["models"].items():
        models[name] = row
        providers.setdefault(name.partition("/")[0], {"source": row["source"], "checked": row["checked"]})
    families = json.loads((CATALOG_FOLDER / "families.json").read_bytes())
    lists: dict[tuple[str, ...], str] = {}
    for name, row in sorted(models.items()):
        if not NOT_CHATTING.isdisjoint(cast(list[str], row.get("outputs", []))):
            add_family_fields(name, row, families["embeddings"])
            continue
        add_family_fields(name, row, families["models"])
        add_rates(name, row, families["rates"])
        accepted = parameters_of(name, row.get("reasoning"), families["parameters"])
        if accepted:
            row["parameters"] = lists.setdefault(accepted, list_name(name, lists.values()))
    aliases: dict[str, list[list[str]]] = {}
    for alias in families["aliases"]:
        aliases.setdefault(alias["provider"], []).append([alias["name"], alias["official"]])
    return {
        "aliases": dict(sorted(aliases.items())),
        "parameters": {name: accepted for accepted, name in sorted(lists.items(), key=lambda item: item[1])},
        "providers": dict(sorted(providers.items())),
        "models": dict(sorted(models.items())),
    }


def rule_applies(rule: Row, name: str) -> bool:
    return any(re.search(str(each), name.lower()) for each in cast(list[str], rule["models"]))


def add_family_fields(name: str, row: Row, families: Sequence[Row]) -> None:
    for rule in families:
        if rule_applies(rule, name):
            factors = {**cast(Row, row.get("factors", {})), **cast(Row, rule.get("factors", {}))}
            row.update({key: rule[key] for key in FAMILY_FIELDS if key in rule})
            if factors:
                row["factors"] = factors
    for key in FAMILY_FIELDS:
        if key in row and row[key] is None:
            del row[key]


def add_rates(name: str, row: Row, families: Sequence[Row]) -> None:
    for rule in families:
        if rule_applies(rule, name):
            for price_row in cast(list[Row], row.get("prices", [])):
                price_row.update(cast(Row, rule["rates"]))


def parameters_of(name: str, reasoning: object, families: Sequence[Row]) -> tuple[str, ...]:
    names: set[str] = set()
    for rule in families:
        if rule_applies(rule, name) and ("reasoning" not in rule or reasoning in cast(list[str], rule["reasoning"])):
            has, adds, lacks = (set(cast(list[str], rule.get(key, []))) for key in ("has", "adds", "lacks"))
            names = (has or names | adds) - lacks
    return tuple(sorted(names))


def list_name(model: str, used_names: Iterable[str]) -> str:
    """A name for the parameter list of `model`: the name of its provider and a number."""
    provider_name = model.partition("/")[0]
    return f"{provider_name}-{1 + sum(name.rpartition('-')[0] == provider_name for name in used_names)}"


def render(sections: dict[str, Row]) -> str:
    """The text of the file, with one row a line, so that changes are readable in a diff."""
    parts: list[str] = []
    for part, rows in sections.items():
        lines = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in rows.items()]
        parts.append(f"{json.dumps(part)}:{{\n" + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(parts) + "}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the catalogue of models and prices.")
    parser.add_argument("--checked", type=date.fromisoformat, default=datetime.now(UTC).date())
    sections = catalog(parser.parse_args().checked)
    (CATALOG_FOLDER / "models.json").write_text(render(sections), encoding="utf-8")
    print(f"{len(sections['models'])} models of {len(sections['providers'])} providers")


if __name__ == "__main__":
    main()
