"""References to what a provider's account owns: files, caches, containers, stores, earlier replies.

Workspaces that share the gateway's key share the account behind it, and no id in a request tells whose it is: a caller
could read a file or a cache of another workspace. So a request with such a reference is only sent as it is with the
workspace's own key. Else fields and tools are left out and reported, and files in messages are refused, for an answer
without them would be about something else. Loaded only for requests that may have one.

Each reference names its source; all were read in 2026-11.
"""

import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.fields import TOOL_FIELDS
from tidegate.chat.messages import message_texts
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.errors import UnsupportedParameter
from tidegate.json import Json, JsonObject


class AccountField(Struct, frozen=True):
    """A top-level field that refers to what an account owns."""

    name: str
    source: str


_RESPONSES = "https://platform.openai.com/docs/api-reference/responses/create"
_CONTAINER = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool"

ACCOUNT_FIELDS = (
    AccountField("billing_policy", "https://platform.claude.com/docs/en/api/messages"),
    AccountField("cachedContent", "https://ai.google.dev/api/caching"),
    AccountField("cached_content", "https://ai.google.dev/api/caching"),
    AccountField("container", f"{_CONTAINER} https://platform.claude.com/docs/en/build-with-claude/skills-guide"),
    AccountField("conversation", _RESPONSES),
    AccountField("previous_response_id", f"{_RESPONSES} https://docs.x.ai/docs/guides/responses-api"),
    AccountField("user_profile_id", "https://platform.claude.com/docs/en/api/messages"),
)

ACCOUNT_TOOLS = re.compile(r"file_?search|retrieval|collections_search", re.IGNORECASE)
"""Types of tools that search stores of the account. Sources: https://platform.openai.com/docs/guides/tools-file-search,
https://ai.google.dev/gemini-api/docs/file-search, https://docs.x.ai/docs/guides/tools/collections-search-tool,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/grounding/grounding-with-your-data (`retrieval`)."""

ACCOUNT_KEYS = frozenset({"file_id", "file_ids", "vector_store_ids", "connector_id"})
"""Names of ids within tools and content parts. Sources: https://platform.openai.com/docs/guides/tools-code-interpreter,
https://platform.openai.com/docs/guides/pdf-files, https://platform.claude.com/docs/en/build-with-claude/files."""

ACCOUNT_URL = re.compile(r"(gs|s3|oss|ms|fileid)://|(https://[^/]+/v1(alpha|beta)?/)?files/[\w-]+$", re.IGNORECASE)
"""Addresses that the provider reads with the account's permissions. Sources:
https://ai.google.dev/gemini-api/docs/file-input-methods (`files/…`, `gs://`),
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_S3Location.html,
https://platform.kimi.ai/docs/guide/use-kimi-vision-model (`ms://`),
https://www.alibabacloud.com/help/en/model-studio/get-temporary-file-url (`oss://`)."""

URL_KEYS = frozenset({"url", "file_data", "uri", "fileUri", "file_uri"})
"""The fields that hold addresses."""

TEXT_REFERENCES = {"qwen": "fileid://"}
"""References in the text of messages. Source: https://www.alibabacloud.com/help/en/model-studio/long-context-qwen-long"""

_NAMES = frozenset(field.name for field in ACCOUNT_FIELDS)
_REFERENCES = ACCOUNT_KEYS | URL_KEYS
_OF_CALLER = ("function", "custom", "namespace")


def has_account_ids(call: ChatCall, deployment: Deployment, tools: Json, items: Json) -> bool:
    """True if tools or input items, in any dialect, refer to what an account owns that is not the workspace's own."""
    if deployment.secret is not None and call.workspace.has_credential(deployment.secret):
        return False
    listed = tools if isinstance(tools, list) else []
    return any(map(_reads_account, listed)) or (isinstance(items, list) and _refers_to_account(items))


def without_account_ids(call: ChatCall, deployment: Deployment) -> tuple[ChatCall, tuple[str, ...]]:
    """Return the call without references to what the account owns, and the paths of what was left out.

    Raises `UnsupportedParameter` for a file. With the workspace's own key, the call is returned unchanged.
    """
    if deployment.secret is not None and call.workspace.has_credential(deployment.secret):
        return call, ()
    body = call.request.body
    for path in _file_paths(body, call, deployment):
        message = (
            "Files of a provider's account can only be used with the workspace's own provider key. Send the content."
        )
        raise UnsupportedParameter(message, param=path)
    names = [name for name in body if name in _NAMES and body[name] is not None and not _is_new(name, body[name])]
    listed = body.get("tools")
    tools = listed if isinstance(listed, list) else []
    dropped = [i for i, tool in enumerate(tools) if _reads_account(tool)]
    if not names and not dropped:
        return call, ()
    changed: JsonObject = {name: value for name, value in body.items() if name not in names}
    if len(dropped) == len(tools) > 0:
        changed = {name: value for name, value in changed.items() if name not in TOOL_FIELDS}
    elif dropped:
        unsent = frozenset(dropped)
        changed["tools"] = [tool for i, tool in enumerate(tools) if i not in unsent]
    return replace(call, request=call.request.with_body(changed)), (*names, *(f"tools[{i}]" for i in dropped))


def _file_paths(body: JsonObject, call: ChatCall, deployment: Deployment) -> Iterator[str]:
    messages = body.get("messages")
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for j, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict) and _refers_to_account(part):
                yield f"messages[{i}].content[{j}]"
    mark = TEXT_REFERENCES.get(deployment.provider)
    if mark is not None and any(mark in text for text in message_texts(call.request.fields.messages)):
        yield "messages"


def _reads_account(tool: Json) -> bool:
    if not isinstance(tool, dict) or (tool_type := tool.get("type")) in _OF_CALLER:
        return False
    is_store = isinstance(tool_type, str) and ACCOUNT_TOOLS.fullmatch(tool_type) is not None
    return is_store or isinstance(tool.get("container"), str) or _refers_to_account(tool)


def _refers_to_account(value: JsonObject | list[Json]) -> bool:
    """True if an id or an address of something in the account is anywhere in the value, except in plain text."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list) and _refers_to_account(item) for item in value)
    if value.get("type") == "text":
        return False
    for name, inner in value.items():
        if name in _REFERENCES and _is_reference(name, inner):
            return True
        if isinstance(inner, dict | list) and _refers_to_account(inner):
            return True
    return False


def _is_reference(name: str, value: Json) -> bool:
    if name in ACCOUNT_KEYS:
        return bool(value)
    return isinstance(value, str) and ACCOUNT_URL.match(value) is not None


def _is_new(name: str, value: Json) -> bool:
    """True for a new container, with no skills but Anthropic's own."""
    if name != "container" or not isinstance(value, dict) or value.get("id"):
        return False
    skills = value.get("skills")
    return not isinstance(skills, list) or all(map(_is_anthropics_skill, skills))


def _is_anthropics_skill(skill: Json) -> bool:
    return isinstance(skill, dict) and skill.get("type") == "anthropic"
