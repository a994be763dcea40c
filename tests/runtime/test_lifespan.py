from typing import Any

import pytest

from tidegate.runtime.asgi import Receive, Send
from tidegate.runtime.lifespan import Lifespan, StartupFailed


async def test_startup_and_shutdown_share_the_state() -> None:
    seen = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        scope["state"]["table"] = "chat"
        await send({"type": "lifespan.startup.complete"})
        seen.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    lifespan = Lifespan(app)
    await lifespan.start()
    assert (lifespan.state, seen) == ({"table": "chat"}, ["lifespan.startup"])
    await lifespan.stop()
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize("raises", [True, False])
async def test_an_application_without_a_lifespan_works(raises: bool) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if raises:
            raise KeyError(scope["type"])

    lifespan = Lifespan(app)
    await lifespan.start()
    await lifespan.stop()
    assert lifespan.state == {}


@pytest.mark.parametrize("cause", [ValueError("TIDEGATE_TABLE is not set"), None])
async def test_a_refusal_carries_the_applications_own_exception(cause: Exception | None) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})
        if cause:
            raise cause

    with pytest.raises(StartupFailed) as raised:
        await Lifespan(app).start()
    assert raised.value.__cause__ is cause


async def test_a_failed_shutdown_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "sk-secret"})

    lifespan = Lifespan(app)
    await lifespan.start()
    await lifespan.stop()
    logged = capsys.readouterr().err
    assert '"lifespan.shutdown_failed"' in logged
    assert "sk-secret" not in logged
