"""`python -m tests.faults.plane FILE`: the data plane under our own server, watched. It prints its port.

Each admitted call and each record is a line of FILE; `GET /state` tells what the process holds.
"""

import asyncio
import gc
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.call import Call, Outcome
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.keys import hash_secret
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.settlement import build_settlement
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.gateway import Gateway
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.server.process import run
from tidegate.settings import Settings

SECRET = "sk-tidegate-soak"
LIMITS = Limits(tokens_per_month=10**12, parallel_calls=1000, usd_per_month=Decimal(10**9))
"""There is always room; what was held shall be nothing in the end."""

ROUTE = Route(
    name="fast",
    targets=(RouteTarget("openai/gpt-4o-mini"), RouteTarget("openai/gpt-4o")),
    by="weight",
    hedge_after_seconds=0.3,
    cooldown_seconds=0.5,
)
GUARDRAIL = Guardrail("names", "words", words=("hurricane",))


@dataclass(frozen=True)
class Watched:
    """A gateway whose admitted calls are written down."""

    inner: Gateway
    file: TextIOWrapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def new_call(self, *given: Any, **named: Any) -> Call:
        call = self.inner.new_call(*given, **named)
        self.file.write(f"admitted {call.id}\n")
        return call


@dataclass
class Recorder:
    """The port Meter, which keeps nothing: what grows is the gateway's."""

    file: TextIOWrapper
    ledger: MemoryLedger | None = None
    records_at_once = True

    async def record(self, outcome: Outcome) -> None:
        call = outcome.call
        self.file.write(f"recorded {call.id} {call.app_id} {outcome.status} {outcome.attempts}\n")
        settled = build_settlement(outcome)
        if settled.hold is not None and self.ledger is not None:
            self.ledger.settle_call(settled.hold, settled.actual)


async def seed(tenants: Tenants, keys: Keys) -> None:
    await tenants.put_workspace(Workspace("ws_soak", "Soak", limits=LIMITS, routes=(ROUTE,), guardrails=(GUARDRAIL,)))
    await keys.put_key(VirtualKey("key_soak", hash_secret(SECRET), "sk-tide", ("ws_soak",), "ws_soak"))


def state() -> dict[str, int]:
    """What the process holds: bytes, and numbers of tasks, sockets and all file descriptors."""
    gc.collect()
    targets = [_target(link) for link in Path("/proc/self/fd").iterdir()]
    return {
        "resident_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "tasks": len(asyncio.all_tasks()),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "descriptors": len(targets),
    }


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # what lists them is one of them, and closed by now
        return ""


def main(path: str) -> None:
    # What is wrong with a provider is no news here; what is wrong with us goes to standard error.
    logging.getLogger("tidegate").setLevel(logging.ERROR)
    settings = Settings.from_env({**os.environ, "TIDEGATE_TABLE": "none", "AWS_REGION": "none"})
    with Path(path).open("w") as file:
        recorder = Recorder(file)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            async with open_memory_gateway(settings, Overrides(meter=recorder), seed=seed) as gateway:
                assert isinstance(gateway.ledger, MemoryLedger)
                recorder.ledger = gateway.ledger
                yield Watched(gateway, file)

        inner = build_app(opened, settings.server_options())

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != "/state":
                await inner(scope, receive, send)
                return
            file.flush()
            body = json.dumps(state()).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        door = socket.create_server(("127.0.0.1", 0))
        print(door.getsockname()[1], flush=True)
        run(app, [door])


if __name__ == "__main__":
    main(sys.argv[1])
