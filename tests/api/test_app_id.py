"""The application that a call is put down to."""

import httpx
import pytest

from tests.world import USER, completion, world

BODY = {"model": "openai/gpt-4o-mini", "messages": USER}


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=completion())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("shop", "shop"),
        (" Content Flash / v2 ", "Content Flash / v2"),
        ("team:app@1.2+x_y-z", "team:app@1.2+x_y-z"),
        ("a" * 128, "a" * 128),
        ("", None),
        ("  ", None),
    ],
)
async def test_an_app_is_recorded(sent: str, kept: str | None) -> None:
    async with world(answer) as client:
        assert (await client.post(BODY, headers={"x-app-id": sent})).status == 200
        assert [outcome.call.app_id for outcome in client.recorder.outcomes] == [kept]


@pytest.mark.parametrize("sent", ["a" * 129, "-shop", "a#b", "a\tb", "a,b", "<a>", "ä", "a\x7f"])
async def test_an_app_that_is_no_name_is_refused_and_not_repeated(sent: str) -> None:
    async with world(answer) as client:
        reply = await client.post(BODY, headers={"x-app-id": sent})
        error = reply.json["error"]
        assert (reply.status, error["code"], error["param"]) == (400, "invalid_request", "x-app-id")
        assert sent not in error["message"]
        assert (client.requests, client.recorder.outcomes) == ([], [])


async def test_a_stranger_is_told_nothing_of_it() -> None:
    async with world(answer) as client:
        guess = {"authorization": "Bearer sk-tidegate-guess", "x-app-id": "#"}
        assert (await client.post(BODY, headers=guess)).status == 401
