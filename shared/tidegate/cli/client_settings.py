"""The settings of clients for a gateway: which file or variables each reads, and what to write there.

Sources, read in 2026-11: https://code.claude.com/docs/en/settings, https://github.com/openai/codex/blob/main/docs/config.md,
https://opencode.ai/docs/providers, https://aider.chat/docs/llms/openai-compat.html, https://docs.continue.dev/reference,
https://block.github.io/goose/docs/getting-started/providers.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec import json as msgspec_json

from tidegate.domain.redacted import Redacted
from tidegate.json import Json, JsonObject

KEY_VARIABLE = "TIDEGATE_API_KEY"


class GatewayAccess(Redacted, Struct, frozen=True):
    """The gateway's address without `/v1`, a key for it, a model, and the workspace if the key has several."""

    url: str
    key: str
    model: str
    workspace_id: str | None = None

    @property
    def headers(self) -> JsonObject:
        return {} if self.workspace_id is None else {"x-workspace-id": self.workspace_id}


class ClientSettings(Redacted, Struct, frozen=True):
    """The settings that one client reads: `file` below the home folder with `text` in it, and environment variables.

    A JSON file is merged with the one that is there; other files are only created. `usage` says how to start.
    """

    usage: str
    file: str | None = None
    text: str = ""
    form: Literal["json", "text"] = "text"
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


def claude_code(access: GatewayAccess) -> ClientSettings:
    variables: JsonObject = {
        "ANTHROPIC_BASE_URL": access.url,
        "ANTHROPIC_AUTH_TOKEN": access.key,
        "ANTHROPIC_MODEL": access.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": access.model,
    }
    if access.workspace_id is not None:
        variables["ANTHROPIC_CUSTOM_HEADERS"] = f"x-workspace-id: {access.workspace_id}"
    return ClientSettings("Start: claude", ".claude/settings.json", _pretty({"env": variables}), "json")


def codex(access: GatewayAccess) -> ClientSettings:
    """Return a profile, which is a file of its own. With the list of models, Codex knows windows and offers patches."""
    base_url = _quoted(f"{access.url}/v1")
    headers = f'http_headers = {{ "x-workspace-id" = {_quoted(access.workspace_id)} }}\n' if access.workspace_id else ""
    text = (
        f"model = {_quoted(access.model)}\n"
        'model_provider = "tidegate"\n\n'
        "[features]\n"
        "api_key_model_discovery = true\n\n"
        "[model_providers.tidegate]\n"
        'name = "Tidegate"\n'
        f"base_url = {base_url}\n"
        f"model_catalog_url = {_quoted(access.url + '/v1/models')}\n"
        f'env_key = "{KEY_VARIABLE}"\n'
        'wire_api = "responses"\n'
        f"{headers}"
    )
    variables = {KEY_VARIABLE: access.key}
    usage = "Start: codex --profile tidegate"
    return ClientSettings(usage, ".codex/tidegate.config.toml", text, variables=variables)


def opencode(access: GatewayAccess) -> ClientSettings:
    options: JsonObject = {"baseURL": f"{access.url}/v1", "apiKey": f"{{env:{KEY_VARIABLE}}}"}
    if access.headers:
        options["headers"] = access.headers
    models: JsonObject = {access.model: {"name": access.model}}
    provider: JsonObject = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Tidegate",
        "options": options,
        "models": models,
    }
    text = _pretty({"$schema": "https://opencode.ai/config.json", "provider": {"tidegate": provider}})
    usage = f"Start: opencode --model tidegate/{access.model}"
    return ClientSettings(usage, ".config/opencode/opencode.json", text, "json", variables={KEY_VARIABLE: access.key})


def aider(access: GatewayAccess) -> ClientSettings:
    text = (
        f"openai-api-base: {_quoted(access.url + '/v1')}\n"
        f"openai-api-key: {_quoted(access.key)}\n"
        f"model: {_quoted('openai/' + access.model)}\n"
    )
    return ClientSettings("Start: aider", ".aider.conf.yml", text)


def continue_dev(access: GatewayAccess) -> ClientSettings:
    model = _quoted(access.model)
    text = (
        "name: Tidegate\nversion: 1.0.0\nschema: v1\nmodels:\n"
        f"  - name: {model}\n    provider: openai\n    model: {model}\n"
        f"    apiBase: {_quoted(access.url + '/v1')}\n    apiKey: {_quoted(access.key)}\n"
        "    roles: [chat, edit, apply]\n"
    )
    return ClientSettings("Choose the model in Continue's list.", ".continue/config.yaml", text)


def goose(access: GatewayAccess) -> ClientSettings:
    variables = {
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": access.model,
        "OPENAI_HOST": access.url,
        "OPENAI_BASE_PATH": "v1/chat/completions",
        "OPENAI_API_KEY": access.key,
    }
    return ClientSettings("Start: goose session", variables=variables)


def openai_sdk(access: GatewayAccess) -> ClientSettings:
    variables = {"OPENAI_BASE_URL": f"{access.url}/v1", "OPENAI_API_KEY": access.key}
    return ClientSettings("OpenAI's SDKs and most other clients read these.", variables=variables)


def anthropic_sdk(access: GatewayAccess) -> ClientSettings:
    variables = {"ANTHROPIC_BASE_URL": access.url, "ANTHROPIC_API_KEY": access.key}
    return ClientSettings("Anthropic's SDKs read these.", variables=variables)


def cline(access: GatewayAccess) -> ClientSettings:
    text = (
        f"API Provider: OpenAI Compatible\nBase URL: {access.url}/v1\nAPI Key: {access.key}\nModel ID: {access.model}\n"
    )
    return ClientSettings("Cline and Roo Code have these fields in their settings.", text=text)


CLIENTS: Mapping[str, Callable[[GatewayAccess], ClientSettings]] = {
    "aider": aider,
    "anthropic-sdk": anthropic_sdk,
    "claude-code": claude_code,
    "cline": cline,
    "codex": codex,
    "continue": continue_dev,
    "goose": goose,
    "openai-sdk": openai_sdk,
    "opencode": opencode,
}
"""The clients by their names on the command line."""


def _pretty(value: Json) -> str:
    return msgspec_json.format(msgspec_json.encode(value), indent=2).decode() + "\n"


def _quoted(text: str) -> str:
    """Return a string as TOML and YAML write it, which is as JSON does."""
    return msgspec_json.encode(text).decode()
