"""Every recorded exchange of Converse and ConverseStream, against a second reading and the service's own model."""

import json
import random
from base64 import b64decode
from typing import Any

import pytest

from tests.providers.assembling import read_chunks, read_completion, run
from tests.providers.calls import built
from tests.providers.converse import as_openai, faults
from tests.providers.reading_bedrock import frames, plain, streamed
from tests.providers.recorded import COMPLETE, Exchange, all_needed, exchanges
from tidegate.errors import ContextLengthExceeded, ProviderAuth, ProviderModelNotFound, UpstreamError
from tidegate.providers.base import StreamEvent
from tidegate.providers.bedrock import PROVIDER
from tidegate.providers.bedrock.messages import PLACEHOLDER
from tidegate.upstream.eventstream import EventStreamDecoder


def replies() -> list[Exchange]:
    return [one for one in exchanges("bedrock") if one.endpoint == "converse" and one.status == 200]


def streams() -> list[tuple[Exchange, bytes]]:
    found = [one for one in exchanges("bedrock") if one.endpoint == "converse-stream" and one.status == 200]
    return [(one, b64decode(one.body)) for one in found]


def requests() -> list[Exchange]:
    return [one for one in exchanges("bedrock") if one.endpoint in ("converse", "converse-stream") and one.request]


@all_needed
def test_the_recordings_are_all_there() -> None:
    assert (len(replies()), len(streams()), len(requests())) == (286, 35, 333)


def test_a_recorded_reply_means_what_its_raw_body_means() -> None:
    for one in replies():
        before = json.dumps(one.body)
        assert read_completion(PROVIDER.parse_completion(one.body)) == plain(one.body), one.id
        assert json.dumps(one.body) == before, one.id


def test_a_recorded_stream_means_what_its_raw_bytes_mean_however_they_are_cut_into_reads() -> None:
    for one, raw in streams():
        expected = streamed(raw)
        for seed in range(3):
            batches = _read(raw, random.Random(f"{one.id}{seed}"))
            chunks = [chunk for batch in run(PROVIDER, batches) for chunk in batch]
            assert read_chunks(chunks) == expected, one.id


def test_a_recorded_stream_that_breaks_off_before_its_last_but_one_message_never_ends_cleanly() -> None:
    """The last message only counts: without it, a reply is whole."""
    for one, raw in streams():
        found = frames(raw)
        for count in range(len(found) - 1):
            with pytest.raises(UpstreamError):
                run(PROVIDER, _read(b"".join(found[:count]), random.Random(one.id)))


def test_a_recorded_stream_cut_inside_a_message_never_ends_cleanly() -> None:
    for one, raw in streams():
        choose = random.Random(one.id)
        borders = {0}
        for found in frames(raw):
            borders.add(max(borders) + len(found))
        for end in {choose.randrange(1, len(raw)) for _ in range(8)} - borders:
            with pytest.raises(UpstreamError):
                run(PROVIDER, _read(raw[:end], choose))


def test_a_recorded_stream_with_one_wrong_byte_fails() -> None:
    for one, raw in streams():
        place = random.Random(one.id).randrange(len(raw))
        damaged = raw[:place] + bytes([raw[place] ^ 0x40]) + raw[place + 1 :]
        with pytest.raises(UpstreamError):
            run(PROVIDER, _read(damaged, random.Random(one.id)))


def test_every_recorded_refusal_is_classified() -> None:
    refused = [one for one in requests() if one.status != 200]
    assert len(refused) == (14 if COMPLETE else 4)
    for one in refused:
        error = PROVIDER.parse_error(one.status, one.headers, one.body)
        text = one.body["message"]
        if one.status == 403:
            assert type(error) is ProviderAuth
        elif "Input Tokens Exceeded" in text:
            assert type(error) is ContextLengthExceeded
        elif "model identifier is invalid" in text:
            assert type(error) is ProviderModelNotFound
        else:
            assert (error.status, error.message) == (400, text)
        assert error.upstream_status == one.status


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_client_would_send_for_a_recorded_request_becomes_a_valid_one(stream: bool) -> None:
    said = 0
    for one in requests():
        body = as_openai(one.request)
        if body is None:
            continue
        said += 1
        sent = _sent(one, {**body, "stream": stream})
        assert faults(sent, stream=stream) == "", one.id
    assert said >= (325 if COMPLETE else 10)


def test_what_a_client_would_send_for_an_accepted_request_becomes_that_request() -> None:
    compared = 0
    for one in requests():
        body = as_openai(one.request)
        if body is None or one.status != 200 or "video/mp4" in str(one.request):  # an image under a false name
            continue
        compared += 1
        assert _normal(_sent(one, body)) == _normal(one.request), one.id
    assert compared >= (310 if COMPLETE else 6)


def _sent(one: Exchange, body: dict[str, Any]) -> Any:
    return json.loads(built(PROVIDER, body, one.model or "amazon.nova-micro-v1:0").body)


def _normal(request: Any) -> Any:
    """Without what says nothing: empty settings, defaults, blank texts, the names of documents, the order of keys."""
    request = json.loads(json.dumps(request))
    for name in ("inferenceConfig", "system", "toolConfig", "additionalModelRequestFields"):
        if not request.get(name):
            request.pop(name, None)
    if (request.get("toolConfig") or {}).get("toolChoice") == {"auto": {}}:
        del request["toolConfig"]["toolChoice"]
    request.pop("modelId", None)
    wanted = request.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if wanted:
        wanted["schema"] = json.loads(wanted["schema"])
    for message in request["messages"]:
        for block in message["content"]:
            if "toolResult" in block:
                block["toolResult"].pop("status", None)
                block["toolResult"]["content"] = [_plain(inner) for inner in block["toolResult"]["content"]]
        message["content"] = [_plain(block) for block in message["content"] if _says_something(block)]
    return request


def _says_something(block: dict[str, Any]) -> bool:
    return bool(block.get("text", "x").strip()) and block.get("text") != PLACEHOLDER


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    if "json" in block:
        return {"text": json.dumps(block["json"])}
    if "document" in block:
        return {"document": {name: value for name, value in block["document"].items() if name != "name"}}
    return block


def _read(raw: bytes, choose: random.Random) -> list[list[StreamEvent]]:
    """The events of network reads of random sizes; the end is told too, as `upstream/attempt.py` does."""
    decoder, start = EventStreamDecoder(), 0
    batches: list[list[StreamEvent]] = []
    while start < len(raw):
        end = start + choose.choice((1, 7, 12, 100, 1500, 16384))
        batches.append(decoder.feed(raw[start:end]))
        start = end
    return [*(batch for batch in batches if batch), decoder.end()]
