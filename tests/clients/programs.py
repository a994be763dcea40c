"""Other programs, run for a while on 127.0.0.1 and ended by their own process ids."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

CLIENTS = Path(__file__).resolve().parent
MODULES = CLIENTS / "node_modules"
DATA = Path(tempfile.mkdtemp(prefix="tidegate-data-"))
"""Data folders of servers that are not given one."""

START_SECONDS = 60.0
STOP_SECONDS = 20.0


def until(done: Callable[[], bool], seconds: float = 15.0) -> None:
    """Return once `done()`; look again every few milliseconds. Raises `TimeoutError`."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        pause.wait(0.02)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a program needs of this process's environment, and `more`: no key, no region, no proxy, no data of users."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return keep | {"PYTHONUNBUFFERED": "1", "TIDEGATE_DATA": str(DATA / "none")} | dict(more or {})


@dataclass
class Program:
    """A running program and the lines that it has said so far."""

    process: "subprocess.Popen[str]"
    out: list[str] = field(default_factory=list[str])
    err: list[str] = field(default_factory=list[str])
    arrived: threading.Condition = field(default_factory=threading.Condition)
    readers: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def read(self) -> None:
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            reader = threading.Thread(target=self._collect, args=(stream, lines), daemon=True)
            reader.start()
            self.readers.append(reader)

    def said(self, part: str, seconds: float = START_SECONDS) -> str:
        """The first line of standard output that holds `part`. Raises `RuntimeError` when it ends without."""

        def found() -> bool:
            return any(part in line for line in self.out) or not any(reader.is_alive() for reader in self.readers)

        with self.arrived:
            self.arrived.wait_for(found, seconds)
            lines = [line for line in self.out if part in line]
        if not lines:
            raise RuntimeError(f"no line with {part!r}:\n" + "\n".join(self.out + self.err))
        return lines[0]

    def end(self, ending: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit code; a program that does not listen is killed."""
        if self.process.poll() is None:
            self.process.send_signal(ending)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            for reader in self.readers:
                reader.join(STOP_SECONDS)

    def _collect(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                with self.arrived:
                    lines.append(line.rstrip("\n"))
                    self.arrived.notify_all()
        with self.arrived:
            self.arrived.notify_all()


@contextmanager
def running(*command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[Program]:
    """`command` for as long as the block lasts."""
    process = subprocess.Popen(
        command, env=environment(env), cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    program = Program(process)
    program.read()
    try:
        yield program
    finally:
        program.end()


def tidegate(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tidegate", *words)


def finished(
    *command: str, env: Mapping[str, str] | None = None, seconds: float = 60.0, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """What `command` said and its exit code, once it has ended by itself."""
    return subprocess.run(
        command, env=environment(env), text=True, capture_output=True, timeout=seconds, check=False, input=stdin
    )


def package(path: str) -> str:
    """A file of an npm package."""
    found = MODULES / path
    if not found.exists():
        raise FileNotFoundError("The npm packages are missing: run `npm ci` in tests/clients.")
    return str(found)


def printed(script: str, *words: str) -> Any:
    """The JSON that a script of this folder has printed."""
    package("openai/package.json")
    done = finished("node", str(CLIENTS / script), *words, seconds=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
