"""The calls of a session by agent, with sums of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from tidegate.domain.aggregate import answering_model
from tidegate.domain.ids import ulid_time
from tidegate.domain.money import exact_money
from tidegate.domain.record import iso_time, plain_decimal

Record = Mapping[str, object]

_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


class Agent(Struct, frozen=True):
    """The calls of one agent, the oldest first. `agent_id` is None for calls without one.

    `parent_agent_id` is the agent that has started it, as the caller says; it may have no call here.
    """

    agent_id: str | None
    calls: Sequence[Record]

    @property
    def parent_agent_id(self) -> object:
        return next((call["parent_agent_id"] for call in self.calls if call.get("parent_agent_id")), None)

    def to_json(self) -> dict[str, object]:
        """Return the agent with its sums as JSON, and its calls as `calls_listed`."""
        names = {"agent_id": self.agent_id, "parent_agent_id": self.parent_agent_id}
        return {**names, **_figures(self.calls), "calls_listed": self.calls}


class SessionTree(Struct, frozen=True):
    """The agents of a session, in the order of their first calls."""

    agents: Sequence[Agent]

    @property
    def calls(self) -> Sequence[Record]:
        return [call for agent in self.agents for call in agent.calls]

    def to_json(self) -> dict[str, object]:
        """Return the tree as JSON: for the session and for each agent its sums; each agent has `calls_listed`."""
        return {**_figures(self.calls), "agents": [agent.to_json() for agent in self.agents]}


def make_tree(calls: Sequence[Record]) -> SessionTree:
    """Make the tree of calls in any order."""
    by_agent: dict[str | None, list[Record]] = {}
    for call in sorted(calls, key=lambda call: str(call["id"])):
        agent_id = call.get("agent_id")
        by_agent.setdefault(None if agent_id is None else str(agent_id), []).append(call)
    return SessionTree([Agent(agent_id, listed) for agent_id, listed in by_agent.items()])


@exact_money
def _figures(calls: Sequence[Record]) -> dict[str, object]:
    """Return the sums of calls. `cost_usd` leaves out the `unpriced` ones; `busy_seconds` are the sum of durations."""
    counts = {name: sum(_integer(call, name) for call in calls) for name in _COUNTS}
    begins = [ulid_time(str(call["id"])) for call in calls]
    seconds = [float(str(call.get("seconds") or 0)) for call in calls]
    errors = Counter(str(call["error_code"]) for call in calls if call.get("error_code"))
    return {
        "calls": len(calls),
        "failed": sum(call.get("status") == "failed" for call in calls),
        "unpriced": sum(call.get("cost_usd") is None for call in calls),
        "cost_usd": plain_decimal(_cost(calls)),
        "tokens": counts["input_tokens"] + counts["output_tokens"],
        **counts,
        "started": iso_time(min(begins)) if calls else None,
        "ended": iso_time(max(map(sum, zip(begins, seconds, strict=True)))) if calls else None,
        "busy_seconds": round(sum(seconds), 3),
        "models": _models(calls),
        "errors": [{"name": name, "calls": number} for name, number in errors.most_common()],
    }


def _models(calls: Sequence[Record]) -> list[dict[str, object]]:
    by_model: dict[str, list[Record]] = {}
    for call in calls:
        by_model.setdefault(answering_model(call), []).append(call)
    rows = sorted(by_model.items(), key=lambda row: (-_cost(row[1]), row[0]))
    return [{"name": name, "calls": len(each), "cost_usd": plain_decimal(_cost(each))} for name, each in rows]


def _cost(calls: Sequence[Record]) -> Decimal:
    return sum((Decimal(str(call.get("cost_usd") or 0)) for call in calls), Decimal(0))


def _integer(record: Record, name: str) -> int:
    return int(str(record.get(name) or 0))
