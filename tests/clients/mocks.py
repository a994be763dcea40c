"""ministack, which answers as AWS; microburst, which stands before it and breaks what it answers; llmock, a judge.

Others wrote them. `make setup` installs them into an environment of their own, for they pin another botocore.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.clients.programs import CLIENTS, START_SECONDS, Program, running, until
from tests.emulators.process import free_port

MOCKS = CLIENTS.parents[1] / ".venv-mocks" / "bin"
_TRIES = 3


@dataclass(frozen=True)
class Burst:
    """What stands before AWS: `breaks` sets the only rule, for all calls; without a rule it passes everything."""

    url: str

    def breaks(self, **rule: Any) -> None:
        body = json.dumps([{"service": "*", **rule}] if rule else []).encode()
        head = {"content-type": "application/json"}
        with urlopen(Request(f"{self.url}/_microburst/rules", body, head, method="POST"), timeout=10):
            pass


@dataclass(frozen=True)
class Judge:
    """llmock: ten providers in one, which break as they are told, and judge how their client took it."""

    url: str

    def plays(self, *behaviours: Any) -> None:
        """What comes next; each names the requests that it is for."""
        body = json.dumps({"behaviors": behaviours}).encode()
        with urlopen(Request(f"{self.url}/_llmock/scenario", body, method="POST"), timeout=10):
            pass

    def verdict(self) -> Any:
        return self._read("verdict")

    def requests(self) -> list[Any]:
        """All that it was sent, with `model`, `status`, `fault`, `retry_after` and `completed`."""
        return self._read("requests")["requests"]

    def _read(self, what: str) -> Any:
        with urlopen(f"{self.url}/_llmock/{what}", timeout=10) as reply:
            return json.load(reply)


@contextmanager
def llmock(*options: str) -> Iterator[Judge]:
    def start(port: int) -> AbstractContextManager[Program]:
        program = _program("llmock")
        return running(program, "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", *options)

    with _serving(start, "/health") as url:
        yield Judge(url)


@contextmanager
def ministack(service: str, **env: str) -> Iterator[str]:
    """The address of one of AWS's services, empty at the start."""

    def start(port: int) -> AbstractContextManager[Program]:
        only = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": service, "IOT_MTLS_ENABLED": "0"}
        return running(_program("ministack"), env=only | env)

    with _serving(start, "/_ministack/health") as url:
        yield url


@contextmanager
def microburst(upstream: str) -> Iterator[Burst]:
    def start(port: int) -> AbstractContextManager[Program]:
        return running(_program("microburst"), "--host", "127.0.0.1", "--port", str(port), "--upstream", upstream)

    with _serving(start, "/_microburst/health") as url:
        # By a name without dots, for in any other it looks for a service of AWS: seconds, and all of botocore's models.
        yield Burst(url.replace("127.0.0.1", "localhost"))


def _program(name: str) -> str:
    path = MOCKS / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is missing: run `make setup`.")
    return str(path)


@contextmanager
def _serving(start: Callable[[int], AbstractContextManager[Program]], health: str) -> Iterator[str]:
    """The address of a program that takes no port 0: the one found for it may be taken before it listens."""
    said: list[str] = []
    for _ in range(_TRIES):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with start(port) as program:
            if _listens(program, url + health):
                yield url
                return
        said += program.err
    raise RuntimeError("\n".join(said))


def _listens(program: Program, url: str) -> bool:
    """Whether it answers, once it does, or has ended instead."""
    until(lambda: program.process.poll() is not None or _answers(url), START_SECONDS)
    return program.process.poll() is None


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, TimeoutError):
        return False
