"""Applications that the runtime's tests start in another process."""

import asyncio
import gc
import json
import os
from pathlib import Path
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stream two events; the second waits for the file that the header `x-gate` names."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
        return
    body = (await receive())["body"]
    headers = dict(scope["headers"])
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream"),
                (b"set-cookie", b"a=1"),
                (b"set-cookie", b"b=2"),
                (b"x-path", scope["raw_path"]),
                (b"x-query", scope["query_string"]),
            ],
        }
    )
    told = {"body": body.decode(), "state": scope["state"], "trace": "_X_AMZN_TRACE_ID" in os.environ}
    await send({"type": "http.response.body", "body": _event(told), "more_body": True})
    while (gate := headers.get(b"x-gate")) and not Path(gate.decode()).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def refuses_to_start(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "told by the message"})
    raise ValueError("TIDEGATE_TABLE is not set")


async def stuck(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and then never return, whatever happens."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"stuck"})
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def _lifespan(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    scope["state"]["ready"] = True
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("lifespan ended", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


gc_at_import = gc.isenabled()


async def collector(scope: Any, receive: Any, send: Any) -> None:
    """Tell how garbage is collected now, and was while this module was imported."""
    state = {"thresholds": gc.get_threshold(), "is_enabled": gc.isenabled(), "was_enabled": gc_at_import}
    state["has_frozen"] = gc.get_freeze_count() > 0
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(state).encode()})
