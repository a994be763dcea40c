"""Metrics of calls in their log lines, which CloudWatch reads: the embedded metric format (EMF).

Loaded with the first line that has metrics.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
(2026-11). It needs no request and no permission.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from tidegate.errors import LimitReached, TidegateError, UpstreamError

DIMENSION_SETS = ((), ("provider", "model_family"))
"""The sets of dimensions in which each metric exists. CloudWatch charges for each combination of values in a set.

Names of workspaces, keys, applications, sessions and models are no dimensions: there is no limit to their number.
"""

CLASSES = ("provider", "gateway", "limit")
"""The classes of errors that have a metric, which is 1 or 0 for each call, so that its average is a rate.

The errors of the rest are the caller's. A provider's 4xx is, too: the caller has sent what the provider refuses.
"""

_BY_STATUS, _CALLS = (("status",),), ({"Name": "calls", "Unit": "Count"},)
_TOTAL, _CLASSES = ((),), tuple({"Name": f"{name}_errors", "Unit": "Count"} for name in CLASSES)

UNITS = {
    "calls": "Count",
    "errors": "Count",
    "tokens": "Count",
    "cost": "None",
    "duration": "Seconds",
    "time_to_first_token": "Seconds",
}
"""The metrics and their units. `cost` is in USD."""

NO_PROVIDER = "none"
"""The provider of a call that no provider was asked for."""

OTHER_FAMILY = "other"

FAMILIES = (
    *("gpt-oss", "gpt-image", "gpt-3", "gpt-4", "gpt-5", "gpt", "claude", "gemini", "gemma", "mimo", "moonshot"),
    *("llama", "nemotron", "mixtral", "magistral", "ministral", "devstral", "codestral", "pixtral", "mistral"),
    *("deepseek", "qwen", "qwq", "kimi", "glm", "minimax", "grok", "command", "aya", "jamba", "nova", "titan", "phi"),
    *("granite", "sonar", "mercury", "palmyra", "hermes", "ernie", "hunyuan", "seed", "olmo", "echo"),
)
"""Families of models by the beginning of a word in their names: a few dozen, whatever models callers name."""

_FAMILY = re.compile(rf"(?<![a-z])(?:{'|'.join(FAMILIES)})|(?<![a-z0-9])o[1-9](?![a-z0-9])")
_CLAUDE = re.compile("opus|sonnet|haiku")


def add_metrics(line: dict[str, object], at: float, namespace: str) -> None:
    """Add the metrics of a call to its log line, and what tells CloudWatch to read them; `at` is in UTC seconds."""
    is_failed = line.get("status") == "failed"
    values = {
        "calls": 1,
        "errors": int(is_failed),
        "tokens": _number(line, "input_tokens") + _number(line, "output_tokens"),
        "cost": _optional(line, "cost_usd"),
        "duration": _optional(line, "seconds"),
        "time_to_first_token": _optional(line, "first_event_seconds"),
    }
    known = {name: value for name, value in values.items() if value is not None}
    line["provider"] = line.get("provider") or NO_PROVIDER
    line["model_family"] = model_family(str(line.get("model") or ""))
    line.update(known)
    failed_class = error_class(line.get("error_code")) if is_failed else None
    if failed_class:
        line["error_class"] = failed_class
    for name in CLASSES:
        line[f"{name}_errors"] = int(name == failed_class)
    directives = (
        (DIMENSION_SETS, [{"Name": name, "Unit": UNITS[name]} for name in known]),
        (_BY_STATUS, _CALLS),
        (_TOTAL, _CLASSES),
    )
    line["_aws"] = {
        "Timestamp": int(at * 1000),
        "CloudWatchMetrics": [
            {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics} for dimensions, metrics in directives
        ],
    }


def error_class(code: object) -> str:
    """Return the class of a failed call: whose fault it is, by the error's code. What is not known is the gateway's.

    A rare error may be defined in a module that was loaded after this one, so all errors are read again for it.
    """
    name = str(code)
    if name not in _CLASS_BY_CODE:
        _CLASS_BY_CODE.update(_codes())
    return _CLASS_BY_CODE.get(name, "gateway")


@lru_cache(maxsize=1024)
def model_family(model_id: str) -> str:
    """Return the family of a model, such as "gpt-5" or "claude-sonnet", by its name; "other" if it is not known."""
    name = model_id.partition("/")[2].lower()
    found = _FAMILY.search(name)
    if found is None:
        return OTHER_FAMILY
    tier = _CLAUDE.search(name) if found[0] == "claude" else None
    return f"claude-{tier[0]}" if tier else found[0]


def _codes(kind: type[TidegateError] = TidegateError) -> Iterator[tuple[str, str]]:
    """Each error's code in the tree, with its class."""
    if kind.code is not None:
        yield kind.code, _class_of(kind)
    for narrower in kind.__subclasses__():
        yield from _codes(narrower)


def _class_of(kind: type[TidegateError]) -> str:
    if issubclass(kind, LimitReached):
        return "limit"
    if issubclass(kind, UpstreamError) and kind.status not in (400, 404):
        return "provider"
    return "gateway" if kind.status >= 500 else "caller"


def _number(line: Mapping[str, object], name: str) -> float:
    return _optional(line, name) or 0


def _optional(line: Mapping[str, object], name: str) -> float | None:
    value = line.get(name)
    return value if isinstance(value, int | float) or value is None else float(str(value))


_CLASS_BY_CODE = dict(_codes())
