"""The data plane in memory with a batch engine that no worker runs, and forms as clients send them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from tests.batch.world import BatchWorld, batch_world
from tests.world import Client, Recorder
from tidegate.api.app import build_app
from tidegate.batch.components import BatchComponents
from tidegate.domain.server_options import ServerOptions

BOUNDARY = "tide-and-gate"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@asynccontextmanager
async def batch_app(
    server: ServerOptions | None = None, components: Any = None, **fields: Any
) -> AsyncIterator[tuple[Client, BatchWorld]]:
    """A client of the app, and the world behind it; `fields` are those of `batch_world`.

    `components` makes the app's components of those of the world.
    """
    async with batch_world(**fields) as world:
        opened: BatchComponents = components(world.components) if components else world.components
        app = build_app(
            lambda: nullcontext(world.components.gateway),
            server or ServerOptions(),
            open_batches=lambda _: nullcontext(lambda: opened),
        )
        async with app.lifespan() as state:
            app.lifespan_state = state
            yield Client(app, Recorder(), []), world


def form(fields: Mapping[str, Any], boundary: str = BOUNDARY) -> bytes:
    """A form; a field that is a pair is a file with its name and content. A list is sent once for each value."""
    parts: list[bytes] = []
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            filename, content = value if isinstance(value, tuple) else (None, value)
            disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
            data = content if isinstance(content, bytes) else content.encode()
            parts.append(f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
