"""llmock plays providers that fail, and finds nothing to blame in how the gateway takes it.

The longest of all delays are drawn: it takes two that do not grow for no backing off at all, and chance may draw such.
On a slow machine the time between two requests is not the gateway's delay alone, and may seem not to grow.
"""

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.clients.mocks import Judge, llmock
from tests.clients.programs import until
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import USER, Seen, harbour

pytestmark = pytest.mark.slow

PATHS = {
    "openai": "/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini",
    "mistral": "/mistral/v1",
    "cohere": "/cohere",
    "groq": "/groq/openai/v1",
    "together": "/together/v1",
    "perplexity": "/perplexity/v1",
    "ai21": "/ai21/v1",
    "xai": "/xai/v1",
}
_AT_ONCE = 12
_EVERYWHERE = {"429 twice", "529 once", "429, wait 0.3 s, twice", "disconnect at once", "truncate after 3 chunks"}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    # It must see that a caller left, before it has sent everything: so it takes a moment for each chunk.
    with llmock("--stream-chunk-delay-ms", "75") as running:
        yield running


def test_every_scenario_ends_as_it_should_and_the_verdict_is_clean(judge: Judge) -> None:
    delays: dict[str, list[float]] = {}
    found = asyncio.run(_all(judge, delays))
    assert {name: told for name, (told, expected) in found.items() if told != expected} == {}
    verdict, models = judge.verdict(), {request["seq"]: request["model"] for request in judge.requests()}
    findings = [each for each in verdict["findings"] if not _is_slowness(each, delays[models[each["requests"][0]]])]
    assert (findings, verdict["calls"] >= len(found)) == ([], True)


def _is_slowness(finding: Any, delays: list[float]) -> bool:
    """True if delays seemed constant to the judge, and the gateway's own have grown."""
    seems_constant = finding["code"] == "no_backoff" and "constant interval" in finding["title"]
    return seems_constant and len(delays) > 1 and all(after >= 2 * before for before, after in pairwise(delays))


def test_a_quota_is_waited_for_as_long_as_it_says() -> None:
    with llmock("--rpm", "30") as judge:
        errors = asyncio.run(_filled(judge, 30))
        assert (errors, judge.verdict()["findings"]) == ([], [])
        assert any(request["status"] == 429 for request in judge.requests())


async def _filled(judge: Judge, calls: int) -> list[Any]:
    """The errors of as many calls as fill the bucket at once, and of two more, of which one at least has to wait."""
    async with harbour(sleep=asyncio.sleep, **_env(judge)) as gateway:
        asked = [gateway.call({"model": "openai/tide", "messages": USER, "user": str(n)}) for n in range(calls + 2)]
        *first, second, last = asked
        return [seen.error for seen in [*await asyncio.gather(*first), await second, await last] if seen.error]


async def _all(judge: Judge, delays: dict[str, list[float]]) -> dict[str, tuple[str, str]]:
    """What each client was told, the code or "", beside what it should be; several at a time.

    `delays` gets the gateway's delays, by the model of the call.
    """
    turns = asyncio.Semaphore(_AT_ONCE)
    wanted = [
        (scenario, provider, stream, code)
        for provider in PATHS
        for scenario in SCENARIOS
        for stream, code in ((False, scenario.plain), (True, scenario.streamed))
        if code is not None and (provider == "openai" or scenario.name in _EVERYWHERE)
    ]

    async def one(scenario: Scenario, provider: str, stream: bool, number: int) -> str:
        async with turns, asyncio.timeout(60):
            return await _told(judge, scenario, provider, stream, f"tide-{number}", delays)

    told = await asyncio.gather(
        *(one(scenario, provider, stream, number) for number, (scenario, provider, stream, _) in enumerate(wanted))
    )
    return {
        f"{scenario.name}, {provider}, {'stream' if stream else 'plain'}": (each, code)
        for each, (scenario, provider, stream, code) in zip(told, wanted, strict=True)
    }


async def _told(
    judge: Judge, scenario: Scenario, provider: str, stream: bool, model: str, delays: dict[str, list[float]]
) -> str:
    """The error's code of one call. The client of a stream that was cut asks again, and gets a whole answer."""
    behaviours = [{**each, "match": {"model": model}} for each in scenario.behaviours]
    await asyncio.to_thread(judge.plays, *behaviours)
    # A gateway for each, for a provider may be asked again only for a part of its calls.
    async with harbour(sleep=asyncio.sleep, **_env(judge)) as gateway:
        body: dict[str, Any] = {"model": f"{provider}/{model}", "messages": USER, "stream": stream, **scenario.asks}
        seen = await gateway.call(body)
        delays[model] = [*gateway.waits]
        if scenario.cut:
            # What begins before the judge has seen the end of a failure is no answer to it.
            await asyncio.to_thread(until, lambda: model in [request["model"] for request in judge.requests()])
            assert seen.status == 200 and _is_whole(await gateway.call({**body, "timeout": 30}))
        record = await gateway.recorder.of(seen.call_id)
    assert record["status"] == ("failed" if seen.error else "ok")
    return "" if _is_whole(seen) else seen.error["code"]


def _is_whole(seen: Seen) -> bool:
    if seen.headers["content-type"].startswith("text/event-stream"):
        return seen.events[-1] == "[DONE]"
    return "choices" in json.loads(seen.body)


def _env(judge: Judge) -> dict[str, str]:
    env = {f"{name.upper()}_BASE_URL": judge.url + path for name, path in PATHS.items()}
    env |= {f"{name.upper()}_API_KEY": "not-a-key" for name in PATHS}
    own = [{"name": "ai21", "base_url": env.pop("AI21_BASE_URL"), "key": "AI21_API_KEY"}]
    return env | {"TIDEGATE_PROVIDERS": json.dumps(own)}
