"""Several processes that call at once."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from tests.emulators.process import ROOT, function_env
from tests.store_worlds import NOON


class Job(Struct, frozen=True):
    """What one process does: `calls` of `body`, all at once or `one_by_one`, each charged with those tokens.

    Its clock stands `at` a moment (UTC seconds); `troubles` is the share of its requests to DynamoDB that go wrong. The
    provider "answers" at once, "streams" until the client hangs up at the first piece, or "waits".
    """

    endpoint: str
    table: str
    body: dict[str, Any]
    calls: int
    prompt_tokens: int
    completion_tokens: int
    provider: Literal["answers", "streams", "waits"] = "answers"
    one_by_one: bool = False
    at: float = NOON
    troubles: float = 0.0


@dataclass(frozen=True)
class Worker:
    process: "subprocess.Popen[str]"

    def begin(self, job: Job) -> None:
        self.say(json.dumps(asdict(job)))

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def heard(self, word: str) -> None:
        line = self._line()
        assert line == word, line

    def ended(self) -> Counter[str]:
        """How many calls ended with which status or error code."""
        return Counter(json.loads(self._line()))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@contextmanager
def crowd(size: int) -> Iterator[list[Worker]]:
    """That many processes, which end with the block."""
    command = (sys.executable, "-m", "tests.limits.worker")
    env = function_env() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    workers = [
        Worker(subprocess.Popen(command, env=env, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)) for _ in range(size)
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()


def begun(workers: Sequence[Worker], jobs: Sequence[Job]) -> None:
    """Returns once all of the processes call, one job each, begun at the same moment."""
    for worker, job in zip(workers, jobs, strict=True):
        worker.begin(job)
    for worker in workers:
        worker.heard("ready")
    for worker in workers:
        worker.say("go")


def together(workers: Sequence[Worker], jobs: Sequence[Job]) -> Counter[str]:
    """What became of all of the jobs' calls."""
    begun(workers, jobs)
    return sum((worker.ended() for worker in workers), Counter[str]())
