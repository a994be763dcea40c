"""`python -m tests.bench.imports [COUNT]`: the dearest modules of a cold start, and which module asked for them.

The time of a module is the shortest of several starts, without the modules that it imports.
"""

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.bench import processes
from tests.bench.coldstart import build_here, env, find_start_python, invocation
from tests.bench.requests import body
from tests.emulators.gateway import Gateway, running
from tests.emulators.process import function

_STARTS = 5
_HANDLER = "functions.chat.app.app"
_LINE = re.compile(rb"import time:\s*(\d+) \|\s*\d+ \|( +)(\S+)")
"""Source: https://docs.python.org/3/using/cmdline.html#cmdoption-X (importtime)."""


async def _start(artifact: Path, variables: Mapping[str, str]) -> bytes:
    """Answer one stream with a new process; return what it wrote about its imports."""
    async with running(Gateway()) as gateway, asyncio.timeout(30):
        asked = invocation(body("paced"))
        gateway.waiting.put_nowait(asked)
        more = {**variables, "PYTHONPATH": str(artifact), "PYTHONPROFILEIMPORTTIME": "1", "PYTHONWARNINGS": "ignore"}
        python = find_start_python().command
        async with function(_HANDLER, gateway.runtime_api, artifact, python, **more) as process:
            while await asked.parts.get() is not None:
                pass
            assert process.stdout is not None
            process.terminate()
            return await process.stdout.read()


def _parents(rows: list[tuple[int, int, str]]) -> dict[str, str]:
    """Who imported each module. A module stands below those that it imports, and less indented."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for _, depth, name in reversed(rows):
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else ""
        stack.append((depth, name))
    return parents


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    shortest: dict[str, int] = {}
    parents: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        processes.table() as table,
        processes.upstream() as provider,
    ):
        artifact = build_here(Path(folder))
        for _ in range(_STARTS):
            output = asyncio.run(_start(artifact, env(table, provider)))
            rows = [(int(time), len(indent), name.decode()) for time, indent, name in _LINE.findall(output)]
            parents |= _parents(rows)
            for time, _, name in rows:
                shortest[name] = min(time, shortest.get(name, time))
    packages: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for name, time in shortest.items():
        top = name.partition(".")[0]
        package = "standard library" if top in sys.stdlib_module_names else top
        packages[package] += time
        sizes[package] += 1
    print(f"{len(shortest)} modules, {sum(packages.values()) / 1000:.0f} ms, {find_start_python().build}")
    for package, time in packages.most_common():
        print(f"{time / 1000:8.1f} ms  {sizes[package]:4} modules  {package}")
    for name, time in Counter(shortest).most_common(count):
        print(f"{time / 1000:8.1f} ms  {name} < {parents[name]}")


if __name__ == "__main__":
    main()
