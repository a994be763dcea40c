"""The steps that our own client takes: each call of a function, in Python or in C, from its code."""

import statistics
import sys
from types import FrameType

from tests.transport.server import always_ok, serving
from tidegate.transport import httptools
from tidegate.transport.base import HttpRequest, RememberedHead, Timeouts
from tidegate.transport.silence import open_with_timeouts

_FOLDER = httptools.__file__.removesuffix("httptools.py")

MOST = 48
"""They were 44 in 2026-11, on Python 3.11 and the event loop of asyncio."""


async def test_a_request_whose_head_is_known_takes_few_steps() -> None:
    steps: list[int] = []

    def observe(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(_FOLDER):
            steps[-1] += 1

    async with serving(httptools.HttptoolsTransport, always_ok) as (transport, url):
        head = RememberedHead()
        for _ in range(20):
            steps.append(0)
            request = HttpRequest("POST", url, {"authorization": "Bearer x"}, b"{}", remembered_head=head)
            sys.setprofile(observe)
            try:
                async with open_with_timeouts(transport, request, Timeouts(30, between=10)) as response:
                    assert response.take_whole(10) == b"ok"
            finally:
                sys.setprofile(None)
    assert statistics.median(steps) <= MOST
