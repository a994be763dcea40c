"""Selects the guardrails of a call: those that always run, and those that the caller names. Loads `runner` for them."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.guardrails import BUILT_IN_GUARDRAILS, Guardrail, GuardrailBackend
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.policy.guardrails.protocol import Guard

MAX_REMEMBERED = 4_096
"""The most workspaces whose guardrails are remembered. When there are more, all are forgotten."""


class GuardMaker(Protocol):
    """Makes the guards of calls with certain guardrails. `runner.ActiveGuardrails` implements it."""

    def guard(self, call: Call) -> Guard: ...


class GuardrailSelection(Struct, frozen=True):
    """The operator's guardrails, and `open_backend` for those that ask a service.

    What always runs in a workspace is remembered, as long as the workspace has the same object of guardrails.
    """

    operator_guardrails: tuple[Guardrail, ...] = ()
    open_backend: Callable[[], GuardrailBackend] | None = None
    clock: Callable[[], float] = time.time
    _makers: dict[int, tuple[tuple[Guardrail, ...], GuardMaker | None]] = {}

    def for_call(self, call: Call) -> Guard | None:
        """Return the guard of the call, None if no guardrail runs. Raises `InvalidRequest` for an unknown name."""
        named, workspace_guardrails = call.request.options.guardrails, call.workspace.guardrails
        if named:
            maker = self._make(workspace_guardrails, named)
        elif workspace_guardrails or self.operator_guardrails:
            remembered = self._makers.get(id(workspace_guardrails))
            # A tuple can have the id of an earlier one, which does not exist any more.
            if remembered is None or remembered[0] is not workspace_guardrails:
                remembered = self._remember_maker(workspace_guardrails)
            maker = remembered[1]
        else:
            return None
        return None if maker is None else maker.guard(call)

    def _remember_maker(
        self, workspace_guardrails: tuple[Guardrail, ...]
    ) -> tuple[tuple[Guardrail, ...], GuardMaker | None]:
        if len(self._makers) >= MAX_REMEMBERED:
            self._makers.clear()
        remembered = (workspace_guardrails, self._make(workspace_guardrails, ()))
        self._makers[id(workspace_guardrails)] = remembered
        return remembered

    def _make(self, workspace_guardrails: tuple[Guardrail, ...], named: Iterable[str]) -> GuardMaker | None:
        selected = select_guardrails(self.operator_guardrails, workspace_guardrails, named)
        if not selected:
            return None
        make_active = load("tidegate.policy.guardrails.checks", "ActiveGuardrail")
        active = tuple(make_active(*each) for each in selected.values())
        return load("tidegate.policy.guardrails.runner", "ActiveGuardrails")(active, self.open_backend, self.clock)


def parse_operator_guardrails(value: Json) -> tuple[Guardrail, ...]:
    """Parse the value of TIDEGATE_GUARDRAILS. Raises `ConfigurationError`."""
    try:
        return load("tidegate.policy.guardrails.definition", "parse_guardrails")(
            value, "TIDEGATE_GUARDRAILS", is_operator=True
        )
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def select_guardrails(
    operator_guardrails: Iterable[Guardrail], workspace_guardrails: Iterable[Guardrail], named: Iterable[str]
) -> dict[str, tuple[Guardrail, bool, str | None]]:
    """Return each guardrail that runs, by its name: the guardrail, `is_trusted`, and the path at which it was named.

    Raises `InvalidRequest` for an unknown name.
    """
    available: Mapping[str, tuple[Guardrail, bool]] = {
        **{guardrail.name: (guardrail, False) for guardrail in workspace_guardrails},
        **{name: (guardrail, True) for name, guardrail in BUILT_IN_GUARDRAILS.items()},
        **{guardrail.name: (guardrail, True) for guardrail in operator_guardrails},
    }
    selected: dict[str, tuple[Guardrail, bool, str | None]] = {
        name: (guardrail, is_trusted, None) for name, (guardrail, is_trusted) in available.items() if guardrail.always
    }
    for i, name in enumerate(named):
        if name not in available:
            raise InvalidRequest(f"There is no guardrail named {name!r}.", param=f"guardrails[{i}]")
        guardrail, is_trusted = available[name]
        selected.setdefault(name, (guardrail, is_trusted, f"guardrails[{i}]"))
    return selected
