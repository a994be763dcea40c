"""A stream of the Responses API as OpenAI's SDK reads it."""

from typing import Any

import httpx
from openai import OpenAI


def accumulated(stream: bytes) -> Any:
    """The response that the SDK makes of the events."""
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=stream, headers=headers))
    with httpx.Client(transport=transport) as http:
        client = OpenAI(api_key="not-a-key", base_url="http://127.0.0.1", http_client=http)
        with client.responses.stream(model="m", input="Hi") as events:
            for event in events:
                if event.type in ("response.incomplete", "response.completed"):
                    return event.response.to_dict()
    raise AssertionError("The stream has no end.")
