"""Calls of cached callers, beside those that are authenticated anew: equal replies and faults."""

from collections.abc import Iterator
from itertools import product

import pytest

from tests.api.endpoint_calls import answer, valid_body
from tests.world import SECRET, Client, world
from tidegate.policy.auth.authenticator import Authenticator

PATHS = ("/v1/chat/completions", "/v1/messages", "/api/ds-prototypes/chat/completions")
BODY = valid_body("/v1/chat/completions")

AUTHORIZATIONS = (f"Bearer {SECRET}", f"bearer {SECRET} ", "Bearer nobody", f"Bearer {SECRET} x", "Basic eDp5", "")
WORKSPACES: tuple[dict[str, str], ...] = ({}, {"x-workspace-id": "ws_test"}, *({"x-workspace-id": id} for id in " x"))
OTHERS: tuple[dict[str, str], ...] = (
    *({}, {"x-request-deadline": "soon"}, {"x-request-deadline": "1"}, {"x-request-deadline": "99999999999"}),
    *({"content-type": "text/plain"}, {"x-api-key": SECRET}, {"x-api-key": "nobody"}, {"x-app-id": "-"}),
)


def requests() -> Iterator[tuple[str, dict[str, str], object]]:
    for path, authorization, workspace, other in product(PATHS, AUTHORIZATIONS, WORKSPACES, OTHERS):
        for body in (BODY, b"{"):
            yield path, {"authorization": authorization, **workspace, **other}, body


async def answers(client: Client) -> list[tuple[object, ...]]:
    """Return the status and the error of each request, after calls that are admitted."""
    for path, headers in product(PATHS[:2], WORKSPACES[:2]):
        assert (await client.post(BODY, path, headers)).status == 200
    replies = [await client.post(body, path, headers) for path, headers, body in requests()]
    return [(reply.status, reply.json.get("error")) for reply in replies]


async def test_a_cached_caller_gets_the_replies_and_faults_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Wrong keys are forgiven with time: else a slow run gets fewer replies of 429 than a quick one.
    monkeypatch.setattr("tidegate.policy.auth.throttle._SECONDS_PER_FAILURE", 1e9)
    async with world(answer) as client:
        of_cached_callers = await answers(client)
    with monkeypatch.context() as patch:
        patch.setattr(Authenticator, "cached_caller", _find_nobody)
        async with world(answer) as client:
            assert of_cached_callers == await answers(client)
    assert {status for status, _ in of_cached_callers} == {200, 400, 401, 403, 415, 429, 504}


def _find_nobody(*arguments: object) -> None:
    """Stand in for `Authenticator.cached_caller`."""
