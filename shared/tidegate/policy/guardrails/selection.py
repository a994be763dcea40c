"""Which guardrails run on a call: those that always do, and those that the caller names. Nothing is loaded for none."""

import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.guardrails import BUILT_IN, Guardrail, Judge
from tidegate.errors import ConfigurationError, InvalidRequest
from tidegate.json import Json
from tidegate.policy.guardrails.protocol import Guard


class Guards(Struct, frozen=True):
    """The operator's guardrails, and who is asked by those that do not decide themselves."""

    configured: tuple[Guardrail, ...] = ()
    judge: Judge | None = None
    clock: Callable[[], float] = time.time

    def of(self, call: Call) -> Guard | None:
        """What runs on the call, None where nothing does. Raises `InvalidRequest` for a name that nobody gave."""
        named, own = call.request.fields.guardrails, call.workspace.guardrails
        if not (named or own or self.configured):
            return None
        rails = _chosen(self.configured, own, named or ())
        if not rails:
            return None
        judging = import_module("tidegate.policy.guardrails.checks")
        guard = import_module("tidegate.policy.guardrails.runner")
        known = tuple(judging.Rail(*rail) for rail in rails.values())
        return guard.Guarding(known, judging.Bench(call, self.judge, lambda: call.deadline - self.clock()))


def configured(listed: Json) -> tuple[Guardrail, ...]:
    """The operator's guardrails, as TIDEGATE_GUARDRAILS lists them. Raises `ConfigurationError`."""
    definition = import_module("tidegate.policy.guardrails.definition")
    try:
        return definition.guardrails_of(listed, "TIDEGATE_GUARDRAILS", is_operator=True)
    except InvalidRequest as error:
        raise ConfigurationError(f"{error.param}: {error.message}") from None


def _chosen(
    operators: Iterable[Guardrail], own: Iterable[Guardrail], named: Iterable[str]
) -> dict[str, tuple[Guardrail, bool, str | None]]:
    """Each guardrail by its name, whether the operator wrote it, and where the caller named it."""
    known: Mapping[str, tuple[Guardrail, bool]] = {
        **{guardrail.name: (guardrail, False) for guardrail in own},
        **{name: (guardrail, True) for name, guardrail in BUILT_IN.items()},
        **{guardrail.name: (guardrail, True) for guardrail in operators},
    }
    chosen: dict[str, tuple[Guardrail, bool, str | None]] = {
        name: (guardrail, trusted, None) for name, (guardrail, trusted) in known.items() if guardrail.always
    }
    for i, name in enumerate(named):
        if name not in known:
            raise InvalidRequest(f"There is no guardrail named {name!r}.", param=f"guardrails[{i}]")
        guardrail, trusted = known[name]
        chosen.setdefault(name, (guardrail, trusted, f"guardrails[{i}]"))
    return chosen
