"""Which guardrails run on a call: those that always do, and those that the caller names. Nothing is loaded for none."""

import time
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.guardrails import BUILT_IN_GUARDRAILS, Guardrail, GuardrailBackend
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.policy.guardrails.protocol import Guard


class GuardrailSelection(Struct, frozen=True):
    """The operator's guardrails, and who is asked by those that do not decide themselves."""

    operator_guardrails: tuple[Guardrail, ...] = ()
    backend: GuardrailBackend | None = None
    clock: Callable[[], float] = time.time

    def for_call(self, call: Call) -> Guard | None:
        """What runs on the call, None where nothing does. Raises `InvalidRequest` for a name that nobody gave."""
        named, workspace_guardrails = call.request.options.guardrails, call.workspace.guardrails
        if not (named or workspace_guardrails or self.operator_guardrails):
            return None
        selected = _select(self.operator_guardrails, workspace_guardrails, named or ())
        if not selected:
            return None
        checks = "tidegate.policy.guardrails.checks"
        make_active, make_context = load(checks, "ActiveGuardrail"), load(checks, "GuardContext")
        active = tuple(make_active(*rail) for rail in selected.values())
        return load("tidegate.policy.guardrails.runner", "GuardRun")(
            active, make_context(call, self.backend, lambda: call.deadline - self.clock())
        )


def parse_operator_guardrails(value: Json) -> tuple[Guardrail, ...]:
    """The operator's guardrails, as TIDEGATE_GUARDRAILS lists them. Raises `ConfigurationError`."""
    try:
        return load("tidegate.policy.guardrails.definition", "parse_guardrails")(
            value, "TIDEGATE_GUARDRAILS", is_operator=True
        )
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def _select(
    operator_guardrails: Iterable[Guardrail], workspace_guardrails: Iterable[Guardrail], named: Iterable[str]
) -> dict[str, tuple[Guardrail, bool, str | None]]:
    """Each guardrail by its name, whether the operator wrote it, and where the caller named it."""
    available: Mapping[str, tuple[Guardrail, bool]] = {
        **{guardrail.name: (guardrail, False) for guardrail in workspace_guardrails},
        **{name: (guardrail, True) for name, guardrail in BUILT_IN_GUARDRAILS.items()},
        **{guardrail.name: (guardrail, True) for guardrail in operator_guardrails},
    }
    selected: dict[str, tuple[Guardrail, bool, str | None]] = {
        name: (guardrail, trusted, None) for name, (guardrail, trusted) in available.items() if guardrail.always
    }
    for i, name in enumerate(named):
        if name not in available:
            raise InvalidRequest(f"There is no guardrail named {name!r}.", param=f"guardrails[{i}]")
        guardrail, trusted = available[name]
        selected.setdefault(name, (guardrail, trusted, f"guardrails[{i}]"))
    return selected
