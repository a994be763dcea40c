"""Which requests may go on in their caller's own dialect: those in which the checks know everything.

The checks of prices and accounts read the translated request, which has less than the body that a provider of this
dialect would get. So the body itself is searched here, at any depth. A request that may not go on is translated: what
was found is then left out and named, or refused.

Sources: https://platform.claude.com/docs/en/build-with-claude/files, …/agents-and-tools/tool-use/code-execution-tool,
https://platform.openai.com/docs/guides/tools-shell, …/tools-tool-search (2026-11).
"""

import re
from collections.abc import Iterator, Set

from tidegate.json import Json, JsonObject
from tidegate.providers.account_ids import ACCOUNT_KEYS, ACCOUNT_URL, URL_KEYS

CLIENT_TOOLS = re.compile(
    r"function|custom|namespace|local_shell|shell|apply_patch|tool_search\w*|(bash|text_editor|memory|computer)_\w+"
)
"""Types of tools that the caller runs, or that cost nothing but their tokens."""

SEARCH_TOOLS = re.compile(r"web_(search|fetch)\w*")
"""Types of tools whose use the provider reports, and whose price is known or nothing."""

_ACCOUNT_KEYS = ACCOUNT_KEYS | {"container_id", "skill_id", "user_profile_id"}
_PRICE_FIELDS = ("plugins",)
_ACCOUNT_FIELDS = frozenset({"billing_policy", "user_profile_id"})
_TEXT_TYPES = ("text", "input_text", "output_text", "thinking", "summary_text")
_CALLERS_VALUES = frozenset({"input_schema", "parameters", "schema", "arguments", "metadata"})
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_LOCAL = (None, "local")


def may_pass(body: JsonObject, *, owns_account: bool, allowed: Set[str] = frozenset()) -> bool:
    """True if a provider may get the body as it is.

    `owns_account`: it is sent with the workspace's own key. `allowed` are the fields and tools that the operator allows
    although their price is not known, such as "tools.code_interpreter".
    """
    if any(body.get(name) is not None and name not in allowed for name in _PRICE_FIELDS):
        return False
    if not all(_is_known_tool(tool, allowed) for tool in _tools(body)):
        return False
    return owns_account or not (_ACCOUNT_FIELDS & body.keys() or _refers_to_account(body))


def _tools(value: Json) -> Iterator[Json]:
    """Yield the tools of the body, of its items, and of namespaces."""
    if isinstance(value, list):
        for item in value:
            yield from _tools(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "tools" and isinstance(inner, list):
                yield from inner
            if name not in _CALLERS_VALUES and isinstance(inner, dict | list):
                yield from _tools(inner)


def _is_known_tool(tool: Json, allowed: Set[str]) -> bool:
    """True for a tool that costs nothing, whose price is known, or that the operator allows."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):  # a function of Anthropic's form, or one that another server has listed
        return True
    if any(kind.startswith(path.removeprefix("tools.")) for path in allowed if path.startswith("tools.")):
        return True
    known = CLIENT_TOOLS.fullmatch(kind) or SEARCH_TOOLS.fullmatch(kind)
    return known is not None and not _is_hosted_shell(tool)


def _is_hosted_shell(tool: Json) -> bool:
    """True for a shell in a container of the provider's, which costs money, or belongs to an account."""
    match tool:
        case {"type": "shell", "environment": dict(environment)}:
            return environment.get("type") not in _LOCAL
        case _:
            return False


def _refers_to_account(value: Json) -> bool:
    """True if an id or an address of something in the account is anywhere, except in texts and the caller's values."""
    if isinstance(value, list):
        return any(map(_refers_to_account, value))
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind in _TEXT_TYPES:
        return False
    if kind == "container_upload":
        return True
    for name, inner in value.items():
        if name in _CALLERS_VALUES or (name == "input" and kind in _CALLS):
            continue
        if name in _ACCOUNT_KEYS and inner:
            return True
        if name in URL_KEYS and isinstance(inner, str) and ACCOUNT_URL.match(inner):
            return True
        if isinstance(inner, dict | list) and _refers_to_account(inner):
            return True
    return False
