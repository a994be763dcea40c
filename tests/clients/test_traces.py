"""Traces of a running server: a prompt of 5 MB, kept and read back, on a data folder and on the embedded AWS."""

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.clients.world import DEMO_ADMIN, DEMO_KEY, get, serving

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024
JSON = "application/json"
STORES = {"local": ("--store", "local"), "embedded": ("--store", "embedded", "--embedded-port", "0")}


def stored(url: str, seconds: float = 20.0) -> Any:
    """The trace of a call, which is stored after its reply."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return get(url)
        except HTTPError as error:
            if error.status != 404 or time.monotonic() > give_up:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize("store", STORES)
def test_a_prompt_of_five_megabytes_is_kept_and_read_back(store: str, tmp_path: Path) -> None:
    prompt = os.urandom(5 * MEGABYTE // 2).hex(" ", 8)  # words that hardly shrink
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "demo/echo", "messages": messages, "max_tokens": 4, "observability": True}
    with serving(*STORES[store], env={"TIDEGATE_DATA": str(tmp_path / "data")}) as (_, port):
        url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {DEMO_KEY}", "content-type": JSON}
        request = Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
        with urlopen(request, timeout=60) as reply:
            call_id, answer = reply.headers["x-request-id"], json.load(reply)
        trace = stored(f"{url}/v1/generations/{call_id}/trace")
        assert (trace["request"], trace["answer"]) == (body, answer)
        [attempt] = trace["attempts"]
        assert attempt["omitted_bytes"] == 0 and attempt["body"]["messages"] == messages
        shown = get(f"{url}/console/v1/calls/{call_id}?workspace=ws_demo", DEMO_ADMIN)
        # Lambda would not answer the request, which has more than 5.5 MB as JSON.
        assert (shown["trace_status"], shown["trace"]["request"], shown["trace"]["answer"]) == ("kept", None, answer)
        assert shown["trace"]["attempts"][0]["omitted_bytes"] > 5 * MEGABYTE
        other_id = call_id[:-1] + ("1" if call_id.endswith("0") else "0")
        with pytest.raises(HTTPError, match="404"):
            get(f"{url}/v1/generations/{other_id}/trace")
