"""The state of providers: what calls found in the last hour and day, cooldowns, and which settings are missing."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tidegate.control.aggregate_range import check_range, read_aggregates
from tidegate.control.control import Control
from tidegate.control.overview import find_workspaces
from tidegate.control.overview_figures import Figures, figures_of, rows_of
from tidegate.domain.aggregate import Aggregate, Filter
from tidegate.domain.deployment import CoolingTarget, ProviderConfig
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import Workspace

_HOUR_SECONDS = 3600


class ProviderState(Struct, frozen=True):
    """The state of a provider. `missing_settings` are names; None: this process does not know the settings.

    `workspaces_with_key` brought a key of their own. `errors` are rows by error code, of the day; `hour_errors`, of the
    hour.
    """

    name: str
    setting: str | None
    missing_settings: Sequence[str] | None
    workspaces_with_key: Sequence[str]
    hour: Figures
    day: Figures
    errors: Sequence[Figures]
    hour_errors: Sequence[Figures]
    cooling: Sequence[CoolingTarget] | None

    def to_json(self) -> dict[str, object]:
        """Return the state as JSON: times in ISO 8601."""
        cooling = self.cooling
        of_hour = {row["name"]: row["calls"] for row in self.hour_errors}
        return {
            "name": self.name,
            "setting": self.setting,
            "missing_settings": self.missing_settings,
            "workspaces_with_key": self.workspaces_with_key,
            "hour": self.hour,
            "day": self.day,
            "errors": [
                {"code": row["name"], "calls": row["calls"], "hour_calls": of_hour.get(row["name"], 0)}
                for row in self.errors
            ],
            "cooling": None if cooling is None else [_target_to_json(each) for each in cooling],
        }


class ProviderReport(Struct, frozen=True):
    """The states of all providers. Figures are of whole hours, since the begin of the hour at these UTC seconds."""

    hour_since: float
    day_since: float
    states: Sequence[ProviderState]

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON: times in ISO 8601."""
        return {
            "hour_since": iso_time(self.hour_since),
            "day_since": iso_time(self.day_since),
            "data": [state.to_json() for state in self.states],
        }


async def report_providers(
    control: Control, actor: AdminKey, workspace_ids: Sequence[str] | None = None
) -> ProviderReport:
    """Report on the providers that the workspaces called, or that are configured; None are all that `actor` may see.

    A process without a data plane, such as the control plane on Lambda, knows no settings. Raises `InvalidRequest`,
    `NotFound`, `AdminForbidden`.
    """
    workspaces = await find_workspaces(control, actor, workspace_ids)
    day_since, until, _ = check_range(control.clock(), None, None, "hour")
    hour_since = control.clock() // _HOUR_SECONDS * _HOUR_SECONDS - _HOUR_SECONDS
    hour, day = Aggregate(), Aggregate()
    for workspace in workspaces:
        async for at, aggregate in read_aggregates(control.aggregates, workspace.id, day_since, until, "hour"):
            day.add(aggregate)
            if at >= hour_since:
                hour.add(aggregate)
            await asyncio.sleep(0)  # calls in the same process go on
    cooling = None if control.providers is None else await control.providers.cooling_targets(workspaces)
    return ProviderReport(hour_since, day_since, list(_states(control, workspaces, cooling, hour, day)))


def _states(
    control: Control,
    workspaces: Sequence[Workspace],
    cooling: Sequence[CoolingTarget] | None,
    hour: Aggregate,
    day: Aggregate,
) -> Iterable[ProviderState]:
    known = None if control.providers is None else control.providers.configs
    configs: Mapping[str, ProviderConfig] = known or {}
    called = {name for name in day.group("provider") if name}
    for name in sorted({*configs, *called, *(target.provider for target in cooling or ())}):
        config = configs.get(name)
        setting = config.secret if config else None
        of_hour, of_day = (each.select([Filter("provider", name)]) for each in (hour, day))
        yield ProviderState(
            name,
            setting,
            config.missing_settings if config else None,
            [each.id for each in workspaces if setting is not None and each.has_credential(setting)],
            figures_of(of_hour),
            figures_of(of_day),
            rows_of(of_day)["error"],
            rows_of(of_hour)["error"],
            None if cooling is None else [each for each in cooling if each.provider == name],
        )


def _target_to_json(target: CoolingTarget) -> dict[str, object]:
    return {"name": target.name, "model": target.model, "until": iso_time(target.ends_at)}
