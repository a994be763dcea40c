"""Tools and the tool choice of the Responses API in terms of chat completions.

| tool | becomes |
|---|---|
| function | a function |
| custom | a function with one text, and the grammar in its description |
| namespace | its tools, with its name in front of theirs |
| local_shell, shell, apply_patch, tool_search that the caller runs | a function with their schema |
| web_search | the provider's own search |
| what OpenAI runs itself (file_search, code_interpreter, mcp) | nothing; its path is reported |

Sources: https://platform.openai.com/docs/api-reference/responses/create (`tools`, `tool_choice`), and
…/docs/guides/tools-apply-patch (2026-11).
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.surfaces.responses.calls import CallNames, CallTarget, CallType

_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "array", "items": _TEXT}
_INTEGER: JsonObject = {"type": "integer"}

_BUILT_IN: dict[str, tuple[CallType, str, JsonObject, list[Json]]] = {
    "local_shell": (
        "local_shell_call",
        "Run a command on the user's machine.",
        {"command": _TEXTS, "working_directory": _TEXT, "timeout_ms": _INTEGER},
        ["command"],
    ),
    "shell": (
        "shell_call",
        "Run shell commands, at the same time. Each result has its output and its exit code.",
        {"commands": _TEXTS, "timeout_ms": _INTEGER, "max_output_length": _INTEGER},
        ["commands"],
    ),
    "apply_patch": (
        "apply_patch_call",
        "Create, update or delete one file. The diff has a line for each line of the file, with a space in front of "
        "what stays, - of what goes and + of what is new; @@ and a line of the file begin each place in an update.",
        {"type": {**_TEXT, "enum": ["create_file", "update_file", "delete_file"]}, "path": _TEXT, "diff": _TEXT},
        ["type", "path"],
    ),
}
"""By the type of the tool: the type of its call, the description, the properties and the required ones."""

_INPUT: JsonObject = {
    "type": "object",
    "properties": {"input": {**_TEXT, "description": "The whole input of the tool, as plain text."}},
    "required": ["input"],
    "additionalProperties": False,
}
_HOW = "Here, the whole input is the text `input`."
"""Descriptions of such tools say that their input is not JSON, which is true for their caller alone."""

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_CHOSEN_CALLS: dict[str, CallType] = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "local_shell": "local_shell_call",
    "shell": "shell_call",
    "apply_patch": "apply_patch_call",
}


class Tools:
    """The tools of a request, as those of a chat request, and how their names lead back."""

    def __init__(self) -> None:
        self.names = CallNames()
        self.chat_tools: list[Json] = []
        self._added: set[str] = set()

    def add(self, listed: Json, path: str, ignored: list[str], namespace: str | None = None) -> None:
        """Add the tools of a list. The paths of those that no other provider can run are reported.

        Raises `InvalidRequest` for what is not a list.
        """
        if listed is not None and not isinstance(listed, list):
            raise InvalidRequest(f"Invalid type for '{path}': expected an array.", param=path)
        for number, tool in enumerate(listed or ()):
            tool_path = f"{path}[{number}]"
            match tool:
                case {"type": "namespace", "name": str(name), "tools": list(inner)} if namespace is None:
                    self.add(inner, f"{tool_path}.tools", ignored, name)
                case {"type": str(kind)} if kind.startswith("web_search"):
                    options = {name: value for name, value in tool.items() if name != "type" and value is not None}
                    self.chat_tools.append({"type": "web_search", **options})
                case dict() if (function := self._function(tool, namespace)) is not None:
                    self._add_function(function)
                case _:
                    ignored.append(tool_path)

    def _add_function(self, function: JsonObject) -> None:
        """Add a function, once: a list of tools may come again with a later item."""
        name = str(function["name"])
        if name not in self._added:
            self._added.add(name)
            self.chat_tools.append({"type": "function", "function": function})

    def _function(self, tool: JsonObject, namespace: str | None) -> JsonObject | None:
        match tool:
            case {"type": "function", "name": str(name)}:
                function = self._named(CallTarget("function_call", name, namespace), tool)
                parameters = tool.get("parameters")
                function["parameters"] = parameters if isinstance(parameters, dict) else _NO_PARAMETERS
                if isinstance(tool.get("strict"), bool):
                    function["strict"] = tool["strict"]
                return function
            case {"type": "custom", "name": str(name)}:
                function = self._named(CallTarget("custom_tool_call", name, namespace), tool)
                texts = (str(function.get("description") or ""), _grammar(tool), _HOW)
                description = "\n\n".join(filter(None, texts))
                return {**function, "description": description, "parameters": _INPUT}
            case {"type": "tool_search", "execution": "client", "parameters": dict(parameters)}:
                return {**self._named(CallTarget("tool_search_call", "tool_search"), tool), "parameters": parameters}
            case {"type": str(kind)} if kind in _BUILT_IN:
                call_type, description, properties, required = _BUILT_IN[kind]
                name = self.names.add(CallTarget(call_type, kind))
                schema: JsonObject = {"type": "object", "properties": properties, "required": required}
                return {"name": name, "description": description, "parameters": schema}
            case _:
                return None

    def _named(self, target: CallTarget, tool: JsonObject) -> JsonObject:
        description = tool.get("description")
        function: JsonObject = {"name": self.names.add(target)}
        if isinstance(description, str) and description:
            function["description"] = description
        return function

    def fields(self, choice: Json, ignored: list[str]) -> JsonObject:
        """Return the fields of a chat request for the tools and the choice among them."""
        offered, mode = self.chat_tools, choice
        match choice:
            case {"type": "allowed_tools", "tools": list(allowed)}:
                bare = self._bare_names()
                names = {self._chosen_name(tool, bare) for tool in allowed}
                offered = [tool for tool in offered if _tool_name(tool) in names]
                mode = choice.get("mode")
            case dict():
                name = self._chosen_name(choice, self._bare_names())
                mode = None if name is None else _named_choice(name)
                if name is None:
                    ignored.append("tool_choice")
            case _:
                pass
        if not offered:
            return {}
        return {"tools": offered, **({} if mode is None else {"tool_choice": mode})}

    def _bare_names(self) -> dict[tuple[str, str], str]:
        """Return the functions by their types and names: a choice may leave out the namespace."""
        return {(target.type, target.name): name for target, name in reversed(self.names.functions.items())}

    def _chosen_name(self, choice: Json, bare: dict[tuple[str, str], str]) -> str | None:
        """Return the name of the function that a choice means; None for a tool that OpenAI runs itself."""
        match choice:
            case {"type": str(kind)} if kind.startswith("web_search"):
                return "web_search"
            case {"type": str(kind)} if kind in _CHOSEN_CALLS:
                name, namespace = str(choice.get("name", kind)), choice.get("namespace")
                target = CallTarget(_CHOSEN_CALLS[kind], name, namespace if isinstance(namespace, str) else None)
                if target in self.names.functions or target.namespace is not None:
                    return self.names.function_name(target)
                return bare.get((target.type, name), name)
            case _:
                return None


def _grammar(tool: JsonObject) -> str:
    match tool.get("format"):
        case {"type": "grammar", "definition": str(definition)} as grammar:
            syntax = grammar.get("syntax")
            kind = "regular expression" if syntax == "regex" else f"{syntax} grammar"
            return f"The input must match this {kind}:\n{definition}"
        case _:
            return ""


def _tool_name(tool: Json) -> Json:
    match tool:
        case {"function": {"name": str(name)}}:
            return name
        case {"type": str(kind)}:
            return kind
        case _:
            return None


def _named_choice(name: str) -> JsonObject:
    return {"type": "web_search"} if name == "web_search" else {"type": "function", "function": {"name": name}}
