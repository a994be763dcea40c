"""Calls of tools in both directions: the items of the Responses API, and calls of functions in chat completions.

A tool that no other provider knows (a custom tool with its grammar, a shell) is a function for the model. `CallNames`
leads from the function's name back to the tool, so that the caller gets its call in the caller's own terms.

Sources: https://platform.openai.com/docs/guides/function-calling (custom tools), …/tools-shell, …/tools-local-shell,
…/tools-apply-patch, …/tools-tool-search (2026-11).
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from tidegate.json import Json, JsonObject, decode_or_none, encode

CallType = Literal[
    "function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call", "tool_search_call"
]

ID_PREFIXES: Mapping[str, str] = {
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "local_shell_call": "lsh",
    "shell_call": "sh",
    "apply_patch_call": "apc",
    "tool_search_call": "tsc",
}

BUILT_IN: Mapping[CallType, str] = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "tool_search_call": "tool_search",
}
"""The calls of tools without a name of their own, and the type of their tool."""

_SHELL_LIMITS = ("timeout_ms", "max_output_length")
_LOCAL_SHELL_OPTIONS = ("timeout_ms", "working_directory", "user")
_OPERATIONS = ("create_file", "update_file", "delete_file")


class CallTarget(Struct, frozen=True):
    """The tool that a function stands for."""

    type: CallType
    name: str
    namespace: str | None = None


class CallNames(Struct, frozen=True):
    """The tools by the names of their functions, and the functions by their tools."""

    targets: dict[str, CallTarget] = {}
    functions: dict[CallTarget, str] = {}

    def add(self, target: CallTarget) -> str:
        """Return the name of the function for a tool: its own, with its namespace in front, and unique."""
        if target in self.functions:
            return self.functions[target]
        name = free_name = _function_name(target)
        number = 2
        while free_name in self.targets:
            free_name = f"{name}_{number}"
            number += 1
        self.targets[free_name] = target
        self.functions[target] = free_name
        return free_name

    def function_name(self, target: CallTarget) -> str:
        """Return the name of the function for a tool, also for one that the request does not offer any more."""
        return self.functions.get(target) or _function_name(target)

    def target(self, function_name: str) -> CallTarget:
        """Return the tool of a function; for a name that nobody offered, a function of this name."""
        return self.targets.get(function_name) or CallTarget("function_call", function_name)


def _function_name(target: CallTarget) -> str:
    """The namespace "functions" is the one that models have for functions anyway: its tools keep their names."""
    if target.namespace and target.namespace != "functions":
        return f"{target.namespace}__{target.name}"
    return target.name


def read_call(item: JsonObject) -> tuple[CallTarget, str] | None:
    """Return the tool of a call and its arguments; None for an item that is not a call of a tool of the caller's."""
    match item:
        case {"type": "function_call", "name": str(name)}:
            arguments = item.get("arguments")
            return CallTarget("function_call", name, _namespace(item)), arguments if isinstance(arguments, str) else ""
        case {"type": "custom_tool_call", "name": str(name)}:
            return CallTarget("custom_tool_call", name, _namespace(item)), _json({"input": item.get("input") or ""})
        case {"type": "local_shell_call" | "shell_call" as kind, "action": dict(action)}:
            fields: JsonObject = {name: value for name, value in action.items() if name != "type" and value is not None}
            return CallTarget(kind, BUILT_IN[kind]), _json(fields)
        case {"type": "apply_patch_call", "operation": dict(operation)}:
            return CallTarget("apply_patch_call", "apply_patch"), _json(operation)
        case {"type": "tool_search_call", "call_id": str()}:
            search = item.get("arguments")
            return CallTarget("tool_search_call", "tool_search"), _json(search if isinstance(search, dict) else {})
        case _:
            return None


def write_call(target: CallTarget, call_id: str, function_name: str, arguments: str) -> JsonObject:
    """Return the item for a complete call, without its id and status.

    Arguments that do not fit the tool make it a call of a function, which the client refuses in words that the model
    reads.
    """
    named: JsonObject = {"call_id": call_id, "name": target.name}
    if target.namespace:
        named["namespace"] = target.namespace
    if target.type == "function_call":
        return {"type": "function_call", "arguments": arguments, **named}
    if target.type == "custom_tool_call":
        return {"type": "custom_tool_call", "input": custom_input(arguments), **named}
    fields = _built_in_fields(target.type, decode_or_none(arguments) if arguments.strip() else {})
    if fields is None:
        return {"type": "function_call", "arguments": arguments, "call_id": call_id, "name": function_name}
    return {"type": target.type, "call_id": call_id, **fields}


def custom_input(arguments: str) -> str:
    """Return the input of a custom tool. A model that wrote plain text instead of JSON meant that."""
    match decode_or_none(arguments):
        case {"input": str(text)}:
            return text
        case {} if arguments.strip() in ("", "{}"):
            return ""
        case _:
            return arguments


def _built_in_fields(kind: CallType, arguments: Json) -> JsonObject | None:
    match kind, arguments:
        case "local_shell_call", {"command": list(command)}:
            options = {name: arguments[name] for name in _LOCAL_SHELL_OPTIONS if arguments.get(name) is not None}
            return {"action": {"type": "exec", "command": [str(word) for word in command], "env": {}, **options}}
        case "shell_call", {"commands": list(commands)}:
            limits: JsonObject = {name: arguments.get(name) for name in _SHELL_LIMITS}
            return {"action": {"commands": [str(command) for command in commands], **limits}, "environment": None}
        case "apply_patch_call", {"type": str(operation), "path": str(path)} if operation in _OPERATIONS:
            diff: JsonObject = {} if operation == "delete_file" else {"diff": str(arguments.get("diff") or "")}
            return {"operation": {"type": operation, "path": path, **diff}}
        case "tool_search_call", dict():
            return {"arguments": arguments, "execution": "client"}
        case _:
            return None


def _namespace(item: JsonObject) -> str | None:
    namespace = item.get("namespace")
    return namespace if isinstance(namespace, str) and namespace else None


def _json(value: JsonObject) -> str:
    return encode(value).decode()
