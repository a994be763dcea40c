"""Every provider by its name, loaded when a call first needs it."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from tidegate.chat.operation import CHAT
from tidegate.errors import ConfigurationError, OperationNotSupported
from tidegate.lazy import load
from tidegate.providers.base import Provider, Translator
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.compatible import ROWS
from tidegate.providers.compatible_row import Row, setting_name
from tidegate.providers.locations import vertex_host


class ProviderSpec(Struct, frozen=True):
    """A provider that could be configured. `base_url` None: there is no default, `base_url_setting` must be set.

    `key_setting` None: it needs no key, and gets one only where `optional_key` or else `setting(name, "API_KEY")` holds
    one. `{region}` and `{project}` in a base URL are the first of `region_settings` and `project_settings` that is set,
    and `{host}` is what `host_of` makes of the region. Without a key, there must be one of the `credentials` settings,
    with which requests are signed, or one of `token_settings`, from which a key is made for a while. `version_setting`
    may name one of the API's versions.
    """

    name: str
    base_url: str | None
    base_url_setting: str
    key_setting: str | None
    optional_key_setting: str | None = None
    region_settings: tuple[str, ...] = ()
    credential_settings: tuple[str, ...] = ()
    version_setting: str | None = None
    project_settings: tuple[str, ...] = ()
    token_settings: tuple[str, ...] = ()
    host_for_region: Callable[[str], str] | None = None


_BEDROCK = ProviderSpec(
    "bedrock",
    "https://bedrock-runtime.{region}.amazonaws.com",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    None,
    optional_key_setting="AWS_BEARER_TOKEN_BEDROCK",
    region_settings=("BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    credential_settings=(
        "AWS_ACCESS_KEY_ID",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_PROFILE",
    ),
)
"""Signed with the credentials of the process: keys (Lambda), a container's, or a profile's."""


_AZURE = ProviderSpec(
    "azure",
    None,
    "AZURE_OPENAI_BASE_URL",
    "AZURE_OPENAI_API_KEY",
    version_setting="AZURE_OPENAI_API_VERSION",
)

_VERTEX = ProviderSpec(
    "vertex",
    "https://{host}/v1/projects/{project}/locations/{region}",
    "VERTEX_BASE_URL",
    "VERTEX_API_KEY",
    region_settings=("GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"),
    project_settings=("GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    token_settings=("GOOGLE_VERTEX_CREDENTIALS",),
    host_for_region=vertex_host,
)

_NATIVE = {
    known.name: known
    for known in (
        ProviderSpec("anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
        _AZURE,
        _BEDROCK,
        ProviderSpec("cohere", "https://api.cohere.com", "COHERE_BASE_URL", "COHERE_API_KEY"),
        ProviderSpec("gemini", "https://generativelanguage.googleapis.com", "GEMINI_BASE_URL", "GEMINI_API_KEY"),
        _VERTEX,
    )
}
"""Dialects of their own: `tidegate.providers.<name>` has `PROVIDER`."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "azure_openai": "azure",
        "aws": "bedrock",
        "google": "gemini",
        "vertex_ai": "vertex",
        "google-vertex": "vertex",
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

    def __init__(
        self, extra: Iterable[Row] = (), operations: Mapping[str, Callable[[str], Translator]] | None = None
    ) -> None:
        self._rows = {**ROWS, **{row.name: row for row in extra}}
        self._loaded: dict[str, Provider] = {}
        self._translators: dict[tuple[str, str], Translator] = {}
        self._operations = operations or {}

    def specs(self) -> tuple[ProviderSpec, ...]:
        """Every provider that could be configured, by name. Imports none of them."""
        rows = {row.name: _known(row) for row in self._rows.values()}
        return tuple(known for _, known in sorted({**_NATIVE, **rows}.items()))

    def translator(self, name: str, operation: str) -> Translator:
        """Return the operation's translator at the provider of that name or alias.

        Raises `ConfigurationError` for an unknown name, and `OperationNotSupported` where the provider cannot do it.
        """
        translator = self._translators.get((name, operation))
        if translator is None:
            translator = self._translators[name, operation] = self._make_translator(name, operation)
        return translator

    def _make_translator(self, name: str, operation: str) -> Translator:
        if operation == CHAT.name:
            return ChatTranslator(self.load(name))
        make = self._operations.get(operation)
        if make is None:
            raise OperationNotSupported(f"The provider {name!r} does not support {operation!r}.", param="model")
        return make(name)

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
            return load("tidegate.providers.openai.provider", "provider")(row)
        if name in _NATIVE:
            return load(f"tidegate.providers.{name}", "PROVIDER")
        raise ConfigurationError(f"There is no provider named {name!r}.")


def _known(row: Row) -> ProviderSpec:
    return ProviderSpec(row.name, row.base_url, setting_name(row.name, "BASE_URL"), row.key_setting)
