"""Every recorded answer of generateContent and streamGenerateContent against an independent reading of its raw body."""

import json
import random
import re
from typing import Any

import pytest

from tests.providers.assembling import read_chunks, read_completion, reads, run
from tests.providers.reading_gemini import events, is_broken, read
from tests.providers.recorded import Exchange, all_needed, exchanges
from tidegate.errors import (
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderMalformed,
    ProviderModelNotFound,
    ProviderRateLimited,
    UpstreamError,
)
from tidegate.providers import Registry
from tidegate.providers.base import StreamEvent
from tidegate.upstream.sse import SseDecoder

HOSTS = ("gemini", "vertex")
PROJECT = re.compile(r"(?<=projects/)[^/]+")
"""The id of the gateway's own account, which no caller sees."""

_registry = Registry()


def _answers(host: str, kind: str) -> list[Exchange]:
    ours = ("generateContent", "streamGenerateContent")
    return [one for one in exchanges(host) if one.endpoint in ours and one.status == 200 and one.kind == kind]


def _whole(host: str) -> list[Exchange]:
    return [one for one in _answers(host, "json") if isinstance(one.body, dict)]


def _arrays(host: str) -> list[Exchange]:
    return [one for one in _answers(host, "json") if isinstance(one.body, list)]


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_reply_means_what_its_raw_body_means(host: str) -> None:
    provider = _registry.load(host)
    for one in _whole(host):
        before = json.dumps(one.body)
        if is_broken([one.body]):
            with pytest.raises(ProviderMalformed):
                provider.parse_completion(one.body)
        else:
            assert read_completion(provider.parse_completion(one.body)) == read([one.body]), one.id
        assert json.dumps(one.body) == before, one.id


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_stream_means_what_its_raw_text_means_however_it_is_cut_into_reads(host: str) -> None:
    for one in _answers(host, "sse"):
        for seed in range(3):
            batches = run(_registry.load(host), reads(one.body.encode(), random.Random(f"{one.id}{seed}")))
            assert read_chunks([chunk for batch in batches for chunk in batch]) == read(events(one.body)), one.id


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_reply_says_the_same_when_it_is_streamed(host: str) -> None:
    for one in _whole(host):
        if not is_broken([one.body]):
            batches = run(_registry.load(host), [[StreamEvent("message", json.dumps(one.body))]])
            assert read_chunks([chunk for batch in batches for chunk in batch]) == read([one.body]), one.id


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_stream_that_breaks_off_never_ends_cleanly(host: str) -> None:
    for one in _answers(host, "sse"):
        decoder = SseDecoder()
        listed = [*decoder.feed(one.body.encode()), *decoder.end()]
        for end in range(len(listed)):  # the finish comes with the last event
            with pytest.raises(UpstreamError):
                run(_registry.load(host), [listed[:end]])


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_stream_cut_inside_an_event_never_ends_cleanly(host: str) -> None:
    for one in _answers(host, "sse"):
        raw, choose = one.body.encode(), random.Random(one.id)
        for end in (choose.randrange(1, raw.rfind(b"finishReason")) for _ in range(5)):
            with pytest.raises(UpstreamError):
                run(_registry.load(host), reads(raw[:end], choose))


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_array_is_not_our_way_and_a_failure_that_may_be_tried_again(host: str) -> None:
    for one in _arrays(host):
        with pytest.raises(ProviderMalformed) as caught:
            _registry.load(host).parse_completion(one.body)
        assert caught.value.retryable


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_array_read_as_events_means_what_it_says(host: str) -> None:
    for one in _arrays(host):
        batches = run(_registry.load(host), [[StreamEvent("message", json.dumps(reply)) for reply in one.body]])
        assert read_chunks([chunk for batch in batches for chunk in batch]) == read(one.body), one.id


@pytest.mark.parametrize("host", HOSTS)
def test_every_recorded_signature_comes_back_in_the_details(host: str) -> None:
    for one in _whole(host):
        if is_broken([one.body]):
            continue
        parts = [part for c in one.body.get("candidates", []) for part in c.get("content", {}).get("parts", [])]
        ours = [part for part in parts if not {"toolCall", "toolResponse", "executableCode"} & part.keys()]
        signed = [part["thoughtSignature"] for part in ours if "thoughtSignature" in part]
        kept: list[Any] = []
        for choice in _registry.load(host).parse_completion(one.body)["choices"]:
            details: Any = choice["message"].get("reasoning_details", [])
            kept += [detail["data"] for detail in details if detail["type"] == "reasoning.encrypted"]
            assert len({(detail["type"], detail["index"]) for detail in details}) == len(details)
        assert kept == signed, one.id


@pytest.mark.parametrize("host", HOSTS)
def test_a_recorded_refusal_is_classified(host: str) -> None:
    for one in exchanges(host):
        if one.status < 300:
            continue
        error = _registry.load(host).parse_error(one.status, one.headers, one.body)
        assert type(error) is _expected(one), (one.id, error.message)
        assert error.upstream_status == one.status
        assert error.native_code == one.body["error"]["status"]
        if not isinstance(error, ProviderAuth):
            assert error.message == PROJECT.sub("[redacted]", one.body["error"]["message"])


def test_the_recorded_quota_keeps_the_delay_of_its_details() -> None:
    (limited,) = (one for one in exchanges("gemini") if one.status == 429)
    error = _registry.load("gemini").parse_error(429, limited.headers, limited.body)
    (delay,) = (detail["retryDelay"] for detail in limited.body["error"]["details"] if "retryDelay" in detail)
    assert error.retry_after_seconds == float(delay.removesuffix("s"))


@all_needed
def test_the_recordings_are_all_there() -> None:
    counts = {
        host: (len(_whole(host)), len(_arrays(host)), len(_answers(host, "sse")), len(_refusals(host)))
        for host in HOSTS
    }
    assert counts == {"gemini": (386, 15, 29, 4), "vertex": (199, 0, 16, 7)}


def _refusals(host: str) -> list[Exchange]:
    return [one for one in exchanges(host) if one.status >= 300]


def _expected(one: Exchange) -> type[UpstreamError]:
    message = one.body["error"]["message"]
    if "token count" in message:
        return ContextLengthExceeded
    if "API key not valid" in message:
        return ProviderAuth
    return {404: ProviderModelNotFound, 429: ProviderRateLimited, 400: ProviderBadRequest}[one.status]
