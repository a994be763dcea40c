import asyncio
from typing import Any

from tidegate.local.ending import Settling


def test_the_application_is_closed_once_its_cancelled_calls_have_settled() -> None:
    happened: list[str] = []
    began, may_settle, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.shutdown"
            happened.append("closed")
            return
        try:
            began.set()
            await asyncio.Future()
        finally:
            told.set()
            await may_settle.wait()
            happened.append("settled")

    async def shutdown() -> dict[str, str]:
        return {"type": "lifespan.shutdown"}

    async def scenario() -> None:
        wrapped = Settling(app)
        call = asyncio.create_task(wrapped({"type": "http"}, shutdown, print))
        await began.wait()
        call.cancel()
        await told.wait()
        closing = asyncio.create_task(wrapped({"type": "lifespan"}, shutdown, print))
        await asyncio.wait({closing}, timeout=0.05)
        assert happened == []
        may_settle.set()
        await asyncio.wait({call, closing})
        assert happened == ["settled", "closed"]
        assert not call.cancelled()

    asyncio.run(asyncio.wait_for(scenario(), 10))
