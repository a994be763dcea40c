"""The list of models as Codex reads it, at `/models?client_version=…`.

Codex asks if its configuration says so (docs/CLIENTS.md). Without an entry for a model it assumes a context window, and
does not offer `apply_patch`. An entry must have instructions, which then take the place of Codex's own ones.

Source: the answers that codex-cli 0.171 accepts, and https://github.com/openai/codex (protocol/src/openai_models.rs,
2026-11).
"""

from collections.abc import Iterable

from tidegate.catalog import CatalogModel
from tidegate.json import Json, JsonObject

INSTRUCTIONS = """You are a coding agent in the Codex CLI, and work in the user's own checkout, with the user's tools.

- Keep going until the task is done. Ask only if you cannot find out what you need to know.
- Read the files that you change first, and follow their style. AGENTS.md holds for its folder and those below; the \
one in the deepest folder wins, and what the user says wins over all of them.
- Edit files with apply_patch if you have it. Change no more than the task needs, and mend causes, not symptoms.
- Run the tests, the linter or the program itself to prove that your change works. Say so if you could not.
- Search with rg. Do not commit, and do not undo changes that you have not made, unless the user asks for it.
- For work of several steps keep a plan with update_plan, if you have it, and say in a sentence what you do next.
- Answer at the end in a few plain sentences: what you changed, where, and what is left. Name files by their paths.
"""

_LEVELS = {
    "low": "Answers fast, with little reasoning",
    "medium": "Reasons as much as a usual task needs",
    "high": "Reasons at length, for hard tasks",
}
_MODALITIES = ("text", "image")
_TOOL_OUTPUT_TOKENS = 10_000
"""As for OpenAI's own models: the tokens of a tool's output that the model gets."""


def models_response(models: Iterable[CatalogModel]) -> JsonObject:
    """Return the list of the models that can call tools, without which Codex can do nothing."""
    usable = [model for model in models if "tools" in model.parameters or not model.parameters]
    return {"models": [_model_info(model, number) for number, model in enumerate(usable)]}


def _model_info(model: CatalogModel, number: int) -> JsonObject:
    levels: list[Json] = [{"effort": level, "description": text} for level, text in _LEVELS.items()]
    modalities: list[Json] = [each for each in _MODALITIES if each in model.inputs]
    return {
        "slug": model.id,
        "display_name": model.name or model.id,
        "description": None,
        "visibility": "list",
        "supported_in_api": True,
        "priority": number,
        "base_instructions": INSTRUCTIONS,
        "context_window": model.context_window,
        "input_modalities": modalities or ["text"],
        "shell_type": "shell_command",
        "apply_patch_tool_type": "freeform",
        "supports_parallel_tool_calls": True,
        "experimental_supported_tools": [],
        "truncation_policy": {"mode": "tokens", "limit": _TOOL_OUTPUT_TOKENS},
        "support_verbosity": False,
        "supports_reasoning_summaries": model.can_reason,
        "default_reasoning_level": "medium" if model.can_reason else None,
        "supported_reasoning_levels": levels if model.can_reason else [],
    }
