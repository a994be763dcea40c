"""The settings of clients for a gateway: which file or variables each reads, and what to write there.

Sources, read in 2026-11: https://code.claude.com/docs/en/settings, https://github.com/openai/codex/blob/main/docs/config.md,
https://opencode.ai/docs/providers, https://aider.chat/docs/llms/openai-compat.html, https://docs.continue.dev/reference,
https://block.github.io/goose/docs/getting-started/providers, https://docs.cline.bot/cline-cli.
"""

import shlex
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec import json as msgspec_json

from tidegate.catalog.row import CatalogModel
from tidegate.domain.redacted import Redacted
from tidegate.json import Json, JsonObject

KEY_VARIABLE = "TIDEGATE_API_KEY"

_CLAUDE_CODE_MIN_WINDOW = 100_000
"""Claude Code takes a smaller window for this one (2.1.197)."""

_USUAL_OUTPUT_LIMIT = 32_000
"""The tokens of a reply for which Claude Code 2.1.197 and opencode 1.18.33 ask models that they do not know."""


class GatewayAccess(Redacted, Struct, frozen=True):
    """The gateway's address without `/v1`, a key for it, a model, and the workspace if the key has several.

    `model_row` is what the catalogue knows of the model: clients know the limits of few models by themselves.
    """

    url: str
    key: str
    model: str
    workspace_id: str | None = None
    model_row: CatalogModel | None = None

    @property
    def context_window(self) -> int | None:
        return self.model_row.context_window if self.model_row is not None else None

    @property
    def output_limit(self) -> int | None:
        return self.model_row.output_limit if self.model_row is not None else None

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.model_row.inputs if self.model_row is not None else ()

    @property
    def headers(self) -> JsonObject:
        return {} if self.workspace_id is None else {"x-workspace-id": self.workspace_id}

    def header_variable(self, name: str, separator: str = ": ") -> dict[str, str]:
        """Return the variable of this name for further headers, empty if there are none."""
        return {} if self.workspace_id is None else {name: f"x-workspace-id{separator}{self.workspace_id}"}

    @property
    def workspace_note(self) -> str:
        """The words about the workspace for a client that cannot send further headers, empty if none is named."""
        return "" if self.workspace_id is None else " (It cannot name a workspace: use a key that has this one alone.)"


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
    """Return the variables, with the limits of a model that is not Claude: Claude Code assumes them otherwise."""
    variables: JsonObject = {
        "ANTHROPIC_BASE_URL": access.url,
        "ANTHROPIC_AUTH_TOKEN": access.key,
        "ANTHROPIC_MODEL": access.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": access.model,
    }
    variables |= access.header_variable("ANTHROPIC_CUSTOM_HEADERS")
    if "claude" not in access.model:
        if (access.context_window or 0) >= _CLAUDE_CODE_MIN_WINDOW:
            variables["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] = str(access.context_window)
        if access.output_limit is not None and access.output_limit < _USUAL_OUTPUT_LIMIT:
            variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(access.output_limit)
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
    models: JsonObject = {access.model: _opencode_model(access)}
    provider: JsonObject = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Tidegate",
        "options": options,
        "models": models,
    }
    text = _pretty({"$schema": "https://opencode.ai/config.json", "provider": {"tidegate": provider}})
    usage = f"Start: opencode --model tidegate/{access.model}"
    return ClientSettings(usage, ".config/opencode/opencode.json", text, "json", variables={KEY_VARIABLE: access.key})


def _opencode_model(access: GatewayAccess) -> JsonObject:
    """Return the model with what it can read and hold: opencode sends no images to others, nor compacts in time."""
    model: JsonObject = {"name": access.model}
    if access.context_window is not None:
        output_limit = min(access.output_limit or _USUAL_OUTPUT_LIMIT, access.context_window // 2)  # leaves a prompt
        model["limit"] = {"context": access.context_window, "output": output_limit}
    if "image" in access.inputs:
        names: list[Json] = [
            {"file": "pdf"}.get(name, name) for name in access.inputs if name in ("text", "image", "file")
        ]
        model |= {"attachment": True, "modalities": {"input": names, "output": ["text"]}}
    return model


def aider(access: GatewayAccess) -> ClientSettings:
    text = (
        f"openai-api-base: {_quoted(access.url + '/v1')}\n"
        f"openai-api-key: {_quoted(access.key)}\n"
        f"model: {_quoted('openai/' + access.model)}\n"
    )
    return ClientSettings(f"Start: aider{access.workspace_note}", ".aider.conf.yml", text)


def continue_dev(access: GatewayAccess) -> ClientSettings:
    model = _quoted(access.model)
    capabilities = "[tool_use, image_input]" if "image" in access.inputs else "[tool_use]"
    headers = (
        f"    requestOptions:\n      headers: {msgspec_json.encode(access.headers).decode()}\n"
        if access.headers
        else ""
    )
    window = f"    defaultCompletionOptions:\n      contextLength: {access.context_window}\n"
    text = (
        "name: Tidegate\nversion: 1.0.0\nschema: v1\nmodels:\n"
        f"  - name: {model}\n    provider: openai\n    model: {model}\n"
        f"    apiBase: {_quoted(access.url + '/v1')}\n    apiKey: {_quoted(access.key)}\n"
        f"    roles: [chat, edit, apply]\n    capabilities: {capabilities}\n"
        + (window if access.context_window is not None else "")
        + headers
    )
    return ClientSettings("Choose the model in Continue's list.", ".continue/config.yaml", text)


def goose(access: GatewayAccess) -> ClientSettings:
    variables = {
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": access.model,
        "OPENAI_HOST": access.url,
        "OPENAI_BASE_PATH": "v1/chat/completions",
        "OPENAI_API_KEY": access.key,
        **access.header_variable("OPENAI_CUSTOM_HEADERS", "="),
    }
    if access.context_window is not None:
        variables["GOOSE_CONTEXT_LIMIT"] = str(access.context_window)
    return ClientSettings("Start: goose session", variables=variables)


def openai_sdk(access: GatewayAccess) -> ClientSettings:
    variables = {"OPENAI_BASE_URL": f"{access.url}/v1", "OPENAI_API_KEY": access.key}
    variables |= access.header_variable("OPENAI_CUSTOM_HEADERS")
    return ClientSettings("OpenAI's SDKs and most other clients read these.", variables=variables)


def anthropic_sdk(access: GatewayAccess) -> ClientSettings:
    variables = {"ANTHROPIC_BASE_URL": access.url, "ANTHROPIC_API_KEY": access.key}
    variables |= access.header_variable("ANTHROPIC_CUSTOM_HEADERS")
    return ClientSettings("Anthropic's SDKs read these.", variables=variables)


def cline(access: GatewayAccess) -> ClientSettings:
    """Return the command that sets up the program for terminals, and the fields of the extensions for editors."""
    words = ("-p", "openai", "-b", f"{access.url}/v1", "-k", access.key, "-m", access.model)
    text = (
        f"cline auth {shlex.join(words)}\n\n"
        f"API Provider: OpenAI Compatible\nBase URL: {access.url}/v1\nAPI Key: {access.key}\nModel ID: {access.model}\n"
    )
    usage = "The command is for Cline's CLI, the fields are for Cline and Roo Code in an editor."
    return ClientSettings(usage + access.workspace_note, text=text)


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
