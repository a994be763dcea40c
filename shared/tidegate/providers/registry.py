"""Every provider by its name, loaded when a call first needs it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from tidegate.errors import ConfigurationError
from tidegate.providers.base import Provider
from tidegate.providers.compatible import ROWS
from tidegate.providers.row import Row


@dataclass(frozen=True, slots=True)
class Known:
    """A provider that could be configured. `base_url` None: there is no default, `base_url_setting` must be set.

    `key_setting` is None where no key is needed; the key of such a provider is still sent when its `key_setting` of the
    usual form is set.
    """

    name: str
    base_url: str | None
    key_setting: str | None
    base_url_setting: str


def setting(name: str, suffix: str) -> str:
    """The name of a provider's setting: "my-host" and "API_KEY" make "MY_HOST_API_KEY"."""
    return f"{name}_{suffix}".upper().replace("-", "_").replace(".", "_")


_NATIVE = {
    "anthropic": Known("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "azure": Known("azure", None, "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_BASE_URL"),
    "bedrock": Known("bedrock", None, None, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    "cohere": Known("cohere", "https://api.cohere.com", "COHERE_API_KEY", "COHERE_BASE_URL"),
    "gemini": Known("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "GEMINI_BASE_URL"),
}
"""Dialects of their own: `tidegate.providers.<name>` has `PROVIDER`."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "azure_openai": "azure",
        "aws": "bedrock",
        "google": "gemini",
        "x-ai": "xai",
        "grok": "xai",
        "mistralai": "mistral",
        "together_ai": "together",
        "togetherai": "together",
        "fireworks_ai": "fireworks",
        "hf": "huggingface",
        "z-ai": "zai",
        "zhipu": "zai",
        "nvidia_nim": "nvidia",
        "dashscope": "qwen",
        "alibaba": "qwen",
        "moonshotai": "moonshot",
        "kimi": "moonshot",
        "hosted_vllm": "vllm",
        "lm_studio": "lmstudio",
    }
)
"""Usual other names of providers."""


class Registry:
    """The providers of one process: the known ones, and the operator's `extra` rows, which win over them."""

    def __init__(self, extra: Iterable[Row] = ()) -> None:
        self._rows = {**ROWS, **{row.name: row for row in extra}}
        self._loaded: dict[str, Provider] = {}

    def known(self) -> tuple[Known, ...]:
        """Every provider that could be configured, by name. Imports none of them."""
        rows = {
            row.name: Known(row.name, row.base_url, row.key, setting(row.name, "BASE_URL"))
            for row in self._rows.values()
        }
        return tuple(known for _, known in sorted({**_NATIVE, **rows}.items()))

    def load(self, name: str) -> Provider:
        """The provider of that name or alias. Raises `ConfigurationError` for a name that nobody has."""
        provider = self._loaded.get(name)
        if provider is None:
            provider = self._loaded[name] = self._import(name)
        return provider

    def _import(self, name: str) -> Provider:
        name = name if name in self._rows else ALIASES.get(name, name)
        row = self._rows.get(name)
        if row is not None:
            return import_module("tidegate.providers.openai").provider(row)
        if name in _NATIVE:
            return import_module(f"tidegate.providers.{name}").PROVIDER
        raise ConfigurationError(f"There is no provider named {name!r}.")
