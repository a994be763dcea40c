"""The results of tools as parts of a chat message."""

from tidegate.json import Json, JsonObject, encode
from tidegate.surfaces.responses.parts import content_parts

OUTPUTS = frozenset(
    {
        *("function_call_output", "custom_tool_call_output", "local_shell_call_output"),
        *("shell_call_output", "apply_patch_call_output", "tool_search_output"),
    }
)
"""The types of items that are results of tools that the caller runs."""


def is_hosted_search(item: JsonObject) -> bool:
    """True for a search of tools that OpenAI has run itself, and for its result."""
    match item:
        case {"type": "tool_search_call" | "tool_search_output", "execution": "server"}:
            return True
        case {"type": "tool_search_output"}:
            return not item.get("call_id")
        case _:
            return False


def call_id(item: JsonObject) -> str | None:
    """Return the id of the call that an item is the result of."""
    for name in ("call_id", "id"):  # a local shell's result has the call's id as its own
        value = item.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def result_parts(item: JsonObject, path: str, ignored: list[str]) -> list[Json]:
    """Return the content of a result."""
    output = item.get("output")
    match item:
        case {"type": "shell_call_output", "output": list(runs)}:
            return _text("\n".join(map(_shell_text, runs)))
        case {"type": "apply_patch_call_output"}:
            return _text("\n".join(str(text) for text in (item.get("status"), output) if text))
        case {"type": "tool_search_output"}:
            return _text(_found_tools(item.get("tools")))
        case _ if output is None or isinstance(output, str | list):
            return content_parts(output, f"{path}.output", ignored)
        case _:
            return _text(encode(output).decode())


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": text}] if text else []


def _shell_text(run: Json) -> str:
    if not isinstance(run, dict):
        return str(run)
    texts = [str(run[name]).rstrip("\n") for name in ("stdout", "stderr") if run.get(name)]
    match run.get("outcome"):
        case {"type": "timeout"}:
            texts.append("(timed out)")
        case {"type": "exit", "exit_code": int(code)}:
            texts.append(f"(exit code {code})")
        case _:
            pass
    return "\n".join(texts)


def _found_tools(tools: Json) -> str:
    names = [str(tool.get("name")) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return f"These tools are available now: {', '.join(names)}." if names else "No tool was found."
