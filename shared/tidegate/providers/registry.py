"""The registry of providers: each by its name, imported when a call first needs it."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from tidegate.catalog.names import PROVIDER_ALIASES
from tidegate.chat.operation import CHAT
from tidegate.errors import ConfigurationError, OperationNotSupported
from tidegate.lazy import load
from tidegate.providers.base import Provider, Translator
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.compatible import ROWS
from tidegate.providers.compatible_row import Row, setting_name

VERTEX_EXPRESS_URL = "https://aiplatform.googleapis.com/v1"
"""The base URL of Vertex AI's express mode, for an API key alone. Source:
https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/vertex-ai-express-mode-api-reference (2026-11)
"""

_LOCATIONS = "tidegate.providers.locations"


def _vertex_host(location: str) -> str:
    return load(_LOCATIONS, "vertex_host")(location)


def _is_google_api_key(key: str) -> bool:
    return load(_LOCATIONS, "is_google_api_key")(key)


class ProviderSpec(Struct, frozen=True):
    """The settings of a provider. `base_url` None: it has no default, so `base_url_setting` must be set.

    `key_setting` names the setting with the required key. If it is None, `optional_key_setting`, by default
    `<NAME>_API_KEY`, may have a key; without one, requests are signed with AWS credentials (`credential_settings`), or
    sent with an access token obtained with the credentials in `token_settings`, or sent without either. In a base URL,
    `{region}` and `{project}` are the first of `region_settings` and of `project_settings` that is set, and `{host}` is
    `host_for_region(region)`. Without a project, a key that `is_express_key` is sent to `express_url`.
    `version_setting` may hold the API version. `chats` is False for a provider of other operations only.
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
    express_url: str | None = None
    is_express_key: Callable[[str], bool] | None = None
    chats: bool = True


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
"""Requests are signed with the process's credentials: environment keys (as in Lambda), a container's or a profile's."""


_AZURE = ProviderSpec(
    "azure", None, "AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", version_setting="AZURE_OPENAI_API_VERSION"
)

_VERTEX = ProviderSpec(
    "vertex",
    "https://{host}/v1/projects/{project}/locations/{region}",
    "VERTEX_BASE_URL",
    "VERTEX_API_KEY",
    region_settings=("GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"),
    project_settings=("GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    token_settings=("GOOGLE_VERTEX_CREDENTIALS",),
    host_for_region=_vertex_host,
    express_url=VERTEX_EXPRESS_URL,
    is_express_key=_is_google_api_key,
)

_NATIVE = {
    spec.name: spec
    for spec in (
        ProviderSpec("anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
        _AZURE,
        _BEDROCK,
        ProviderSpec("cohere", "https://api.cohere.com", "COHERE_BASE_URL", "COHERE_API_KEY"),
        ProviderSpec("gemini", "https://generativelanguage.googleapis.com", "GEMINI_BASE_URL", "GEMINI_API_KEY"),
        _VERTEX,
    )
}
"""Providers with their own dialect: `tidegate.providers.<name>` has `PROVIDER`."""

_TRANSLATORS: dict[str, tuple[str, str]] = {
    "embeddings": ("tidegate.providers.embeddings.registry", "make_translator"),
    "moderations": ("tidegate.providers.moderations.registry", "make_translator"),
    "rerank": ("tidegate.providers.rerank.registry", "make_translator"),
}
"""The functions that make the translators of each operation but chat, for a provider."""

BUILT_IN = frozenset(_NATIVE) | frozenset(ROWS)
"""The names of all built-in providers."""


class Registry:
    """The providers of one process: the built-in ones, and the operator's `extra` rows, which win over them.

    `allowed_price_fields` are paths of `price_fields.py` that the operator allows.

    Example: `Registry().load("mistral").build_request(call, deployment)`.
    """

    def __init__(
        self,
        extra: Iterable[Row] = (),
        translators: Mapping[str, Callable[[str], Translator]] | None = None,
        allowed_price_fields: frozenset[str] = frozenset(),
    ) -> None:
        self._rows = {**ROWS, **{row.name: row for row in extra if not row.only_models}}
        self._loaded: dict[str, Provider] = {}
        self._translators: dict[tuple[str, str], Translator] = {}
        self._make_by_operation = translators or {}
        self._allowed_price_fields = allowed_price_fields

    def specs(self) -> tuple[ProviderSpec, ...]:
        """Return every provider that can be configured, sorted by name. Imports none of them."""
        rows = {row.name: _spec_of_row(row) for row in self._rows.values()}
        return tuple(spec for _, spec in sorted({**_NATIVE, **rows}.items()))

    def aliases(self) -> dict[str, str]:
        """Return the providers' names by alias. An operator's row with the name of an alias replaces the alias."""
        return {alias: name for alias, name in PROVIDER_ALIASES.items() if alias not in self._rows}

    def translator(self, name: str, operation: str) -> Translator:
        """Return the operation's translator for a provider's name or alias.

        Raises `ConfigurationError` for an unknown name, and `OperationNotSupported` where the provider cannot do it.
        """
        translator = self._translators.get((name, operation))
        if translator is None:
            translator = self._translators[name, operation] = self._make_translator(name, operation)
        return translator

    def _make_translator(self, name: str, operation: str) -> Translator:
        if operation == CHAT.name:
            self._check_chats(name)
            return ChatTranslator(self.load(name), self._allowed_price_fields)
        name = self.aliases().get(name, name)
        if name not in self._rows and name not in _NATIVE:
            raise _unknown_provider(name)
        make = self._make_by_operation.get(operation)
        if make is not None:
            return make(name)
        if operation not in _TRANSLATORS:
            raise OperationNotSupported(f"The provider {name!r} does not support {operation!r}.", param="model")
        module, function = _TRANSLATORS[operation]
        return load(module, function)(self.load(name), is_built_in=name in BUILT_IN)

    def _check_chats(self, name: str) -> None:
        row = self._rows.get(self.aliases().get(name, name))
        if row is not None and not row.chats:
            raise OperationNotSupported(f"The provider {name!r} has embeddings and rerank, but no chat.", param="model")

    def load(self, name: str) -> Provider:
        """Return the provider with that name or alias. Raises `ConfigurationError` if the name is unknown."""
        provider = self._loaded.get(name)
        if provider is None:
            provider = self._loaded[name] = self._import(name)
        return provider

    def _import(self, name: str) -> Provider:
        name = self.aliases().get(name, name)
        row = self._rows.get(name)
        if row is not None:
            return load("tidegate.providers.openai.provider", "provider")(row)
        if name in _NATIVE:
            return load(f"tidegate.providers.{name}", "PROVIDER")
        raise _unknown_provider(name)


def _spec_of_row(row: Row) -> ProviderSpec:
    return ProviderSpec(row.name, row.base_url, setting_name(row.name, "BASE_URL"), row.key_setting, chats=row.chats)


def _unknown_provider(name: str) -> ConfigurationError:
    return ConfigurationError(f"{name!r} is not a known provider.")
