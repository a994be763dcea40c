import asyncio
from typing import Any

from tidegate.local.graceful_shutdown import SettlementGuard


async def test_the_application_is_closed_once_its_cancelled_calls_have_settled() -> None:
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

    async with asyncio.timeout(10):
        wrapped = SettlementGuard(app)
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


async def test_a_call_waits_while_too_many_are_answered_and_not_on_record() -> None:
    begun: list[asyncio.Event] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        recorded = asyncio.Event()
        begun.append(recorded)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await recorded.wait()

    async def send(message: Any) -> None:
        pass

    async with asyncio.timeout(10):
        wrapped = SettlementGuard(app, max_unsettled=2)
        calls = [asyncio.create_task(wrapped({"type": "http"}, send, send)) for _ in range(5)]
        for recorded in range(3):
            await _turns()
            assert len(begun) == 2 + recorded
            begun[recorded].set()
        await _turns()
        for call in begun:
            call.set()
        await asyncio.gather(*calls)
        assert len(begun) == 5


async def _turns() -> None:
    """Whatever can go on without waiting does."""
    for _ in range(20):
        await asyncio.sleep(0)
