"""Anthropic's Messages API at other hosts: what each of them takes in another form, or refuses.

Fields, tools and beta headers that no table names go on as they are: those of clients released later work. A field
that needs a beta goes on with it alone.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, …/claude-in-amazon-bedrock; what is refused:
https://github.com/anthropics/claude-code/issues/21612, …/31033, …/49548, https://github.com/BerriAI/litellm/issues/26240,
https://github.com/BerriAI/litellm/blob/main/litellm/anthropic_beta_headers_config.json.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from tidegate.chat.request import ChatCall
from tidegate.json import Json, JsonObject
from tidegate.providers.native import caller_body

DIALECT = "messages"
_BETA = "anthropic-beta"

_REFUSED_BETAS = frozenset(
    {"advisor-tool-2026-03-01", "code-execution-2025-08-25", "fast-mode-2026-02-01", "files-api-2025-04-14"}
    | {"mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-servers-2025-12-04", "output-128k-2025-02-19"}
    | {"prompt-caching-scope-2026-01-05", "skills-2025-10-02", "structured-outputs-2025-11-13"}
    | {"token-efficient-tools-2025-02-19", "web-fetch-2025-09-10", "oauth-2025-04-20", "claude-code-20250219"}
    | {"thinking-token-count-2026-05-13"}
)
_RENAMED_BETAS = {"advanced-tool-use-2025-11-20": ("tool-search-tool-2025-10-19", "tool-examples-2025-10-29")}
_REFUSED_FIELDS = frozenset({"container", "inference_geo", "mcp_servers", "service_tier", "speed", "user_profile_id"})

_BETAS_BY_FIELD: Mapping[str, tuple[str, ...]] = {
    "context_management": ("context-management-", "compact-"),
    "diagnostics": ("diagnostics-",),
}
_BETAS_BY_TOOL_FIELD: Mapping[str, tuple[str, ...]] = {
    "defer_loading": ("tool-search-tool-", "advanced-tool-use-"),
    "allowed_callers": ("advanced-tool-use-",),
    "input_examples": ("tool-examples-", "advanced-tool-use-"),
    "eager_input_streaming": ("fine-grained-tool-streaming-",),
    "strict": ("structured-outputs-",),
}
"""The beginnings of the betas with which a host that checks its fields takes a field."""


class MessagesHost(Struct, frozen=True):
    """`version` is sent in the body. `refused_betas` are left out, `renamed_betas` are sent under other names."""

    version: str
    betas_in_body: bool = False
    refused_betas: frozenset[str] = _REFUSED_BETAS


BEDROCK = MessagesHost(
    "bedrock-2023-05-31", betas_in_body=True, refused_betas=_REFUSED_BETAS | {"interleaved-thinking-2025-05-14"}
)
"""Models think between tool calls there without the beta's header."""

VERTEX = MessagesHost(
    "vertex-2023-10-16", refused_betas=_REFUSED_BETAS | {"effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14"}
)


def host_body(body: JsonObject, betas: Iterable[str], host: MessagesHost) -> tuple[JsonObject, list[str], list[str]]:
    """Return the body for the host, the betas to send, and the paths of what it refuses."""
    sent, refused = _host_betas(betas, host)
    changed: JsonObject = {}
    for name, value in body.items():
        if name in ("model", "stream"):
            continue
        if name in _REFUSED_FIELDS or not _has_beta(_BETAS_BY_FIELD.get(name), sent):
            refused.append(name)
        elif name == "tools" and isinstance(value, list):
            changed[name] = [_host_tool(tool, f"tools[{number}]", sent, refused) for number, tool in enumerate(value)]
        else:
            changed[name] = value
    changed["anthropic_version"] = host.version
    if sent and host.betas_in_body:
        changed["anthropic_beta"] = [*sent]
    return changed, sent, refused


def caller_body_for(call: ChatCall, model: str, host: MessagesHost) -> tuple[JsonObject, dict[str, str], list[str]]:
    """Return the caller's own body for the host, the headers to send, and the paths of what the host refuses."""
    origin = call.request.origin
    headers: Mapping[str, str] = {} if origin is None else origin.headers
    betas = [beta.strip() for beta in headers.get(_BETA, "").split(",") if beta.strip()]
    body, sent, refused = host_body(caller_body(call, model, "max_tokens"), betas, host)
    return body, beta_headers(sent, host), refused


def beta_headers(sent: list[str], host: MessagesHost) -> dict[str, str]:
    """Return the header with the betas; none if the body has them."""
    return {_BETA: ",".join(sent)} if sent and not host.betas_in_body else {}


def is_native(call: ChatCall, model: str) -> bool:
    """True for a call in this dialect whose body has not changed, to a model of Anthropic's."""
    origin = call.request.origin
    return origin is not None and origin.dialect == DIALECT and origin.body is not None and is_claude(model)


def is_claude(model: str) -> bool:
    """True for the name of one of Anthropic's models, as hosts spell it."""
    return "claude" in model.lower()


def _host_betas(betas: Iterable[str], host: MessagesHost) -> tuple[list[str], list[str]]:
    sent: list[str] = []
    refused: list[str] = []
    for beta in betas:
        if beta in host.refused_betas:
            refused.append(f"{_BETA}.{beta}")
        else:
            sent += _RENAMED_BETAS.get(beta, (beta,))
    return list(dict.fromkeys(sent)), refused


def _has_beta(beginnings: tuple[str, ...] | None, sent: list[str]) -> bool:
    return beginnings is None or any(beta.startswith(beginnings) for beta in sent)


def _host_tool(tool: Json, path: str, sent: list[str], refused: list[str]) -> Json:
    if not isinstance(tool, dict):
        return tool
    left_out = [name for name in tool if not _has_beta(_BETAS_BY_TOOL_FIELD.get(name), sent)]
    refused += [f"{path}.{name}" for name in left_out if tool[name]]
    return {name: value for name, value in tool.items() if name not in left_out} if left_out else tool
