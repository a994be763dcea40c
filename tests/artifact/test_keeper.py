"""The keeper's artifact, started by one event of its schedule."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.artifact.world import invoke, last_line, runs_here
from tests.store_worlds import aws_world, workspace
from tidegate.aws.expressions import Put
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits

pytestmark = [pytest.mark.slow, runs_here]

EVENT = Path(__file__).parents[1] / "events" / "other" / "schedule.json"


async def test_the_keeper_settles_what_a_killed_call_held(artifacts: Path, aws_endpoint: str) -> None:
    code = artifacts / "KeeperFunction"
    async with aws_world(aws_endpoint) as world:
        assert world.store is not None
        scope = AccountScope("workspace", "ws_one", Limits(tokens_per_day=1000))
        await world.tenants.put_workspace(replace(workspace(), limits=scope.limits))
        begun = 1_700_000_000.0
        hold = Hold(ulid(begun), "ws_one", "key_one", "demo/echo-1", Amounts(tokens=60), 40, begun, begun + 660)
        await world.ledger.reserve(Reservation(hold, (scope,)))
        env = {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": aws_endpoint,
            "TIDEGATE_TABLE": world.store.table,
            "TIDEGATE_EVENT_BUS": "default",
        }
        swept = last_line(invoke(code, "functions.keeper.app.handler", EVENT, **env))
        counts = {"workspaces": 1, "lost": 1, "alerts": 0, "pruned": 1, "failed": 0}
        assert swept == {**counts, "is_done": True, "rolled": 1}
        assert (await world.ledger.account(scope)).holds == {}
        broken = {"pk": "WORKSPACES", "sk": "WS#ws_broken"}
        await world.store.write([Put(world.store.table, broken)])
        failed = invoke(code, "functions.keeper.app.handler", EVENT, **env)
    assert failed.returncode != 0
    message = "1 of 2 workspaces could not be swept, the records of 1 could not be rolled up."
    assert f"StoreUnavailable: {message}" in failed.stderr


def test_the_keepers_artifact_holds_no_tool_and_no_other_plane(artifacts: Path) -> None:
    code = artifacts / "KeeperFunction"
    rooms = {"local", "cli", "control", "api", "runtime"}
    assert {path.name for path in (code / "tidegate").iterdir()} & rooms == set()
    assert {path.parent.name for path in (code / "functions").rglob("app.py")} == {"keeper"}
    assert {path.name for path in code.iterdir()} & {"uvicorn", "fastapi", "boto3"} == set()
