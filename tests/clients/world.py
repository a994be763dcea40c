"""A gateway that runs as a program, and a provider that it calls."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from pydantic import BaseModel

from tests.clients.programs import CLIENTS, DATA, Program, package, running, tidegate
from tests.clients.tap import Tap

DEMO_KEY = "sk-tidegate-demo"
DEMO_ADMIN = "sk-tidegate-admin-demo"
DEMO_ENV = {"TIDEGATE_DEMO_KEY": DEMO_KEY, "TIDEGATE_DEMO_ADMIN_KEY": DEMO_ADMIN}
DEMO_WORKSPACE = "ws_demo"
MODEL = "openai/gpt-4.1-mini"
HELD = "vllm/held"
"""A model that never finishes (`held.py`)."""


@dataclass(frozen=True)
class Provider:
    """The stand-in, which answers by what the last user message says (`fixtures.json`)."""

    url: str

    def received(self, part: str) -> list[Any]:
        """The bodies of the requests whose last message says `part`, in order."""
        return [entry["body"] for entry in self.entries(part)]

    def entries(self, part: str) -> list[Any]:
        """The same with their headers, paths and times (`timestamp`, in milliseconds)."""
        with urlopen(f"{self.url}/__aimock/journal", timeout=10) as reply:
            entries = json.load(reply)
        return [entry for entry in entries if part in json.dumps(entry["body"])]


@dataclass(frozen=True)
class Server:
    """A running gateway. `url` ends in `/v1`, `root` does not; both lead through the tap."""

    program: Program
    port: int
    tap: Tap

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.tap.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def direct(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def neuroflash(self) -> str:
        return f"{self.root}/api/ds-prototypes"


@contextmanager
def provider() -> Iterator[Provider]:
    cli = package("@copilotkit/aimock/dist/cli.js")
    fixtures = str(CLIENTS / "fixtures.json")
    with running("node", cli, "--port", "0", "--fixtures", fixtures, "--strict", "--validate-on-load") as program:
        yield Provider(program.said("listening on ").rpartition(" ")[2])


@contextmanager
def serving(*words: str, env: Mapping[str, str] | None = None) -> Iterator[tuple[Program, int]]:
    """`python -m tidegate serve` on any free port, ready, and that port. Its demo keys are those of this module."""
    data = {"TIDEGATE_DATA": str(DATA / uuid.uuid4().hex)}
    with running(*tidegate("serve", "--port", "0", *words), env=DEMO_ENV | data | dict(env or {})) as program:
        line = program.said("Tidegate serves ")
        yield program, int(line.partition("//")[2].partition("/")[0].rpartition(":")[2])


def providers(provider: Provider, held_port: int) -> dict[str, str]:
    """The settings that make the stand-in answer for OpenAI, Groq and a provider of the operator's own."""
    own = [{"name": "harbour", "base_url": f"{provider.url}/v1", "key": "HARBOUR_API_KEY", "quirks": "vllm"}]
    return {
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "OPENAI_API_KEY": "not-a-key-openai",
        "GROQ_BASE_URL": f"{provider.url}/openai/v1",
        "GROQ_API_KEY": "not-a-key-groq",
        "VLLM_BASE_URL": f"http://127.0.0.1:{held_port}/v1",
        "HARBOUR_API_KEY": "not-a-key-harbour",
        "TIDEGATE_PROVIDERS": json.dumps(own),
        "TIDEGATE_DEFAULT_PROVIDER": "groq",
    }


def unique(text: str) -> str:
    """`text` made recognizable among everything that the provider receives."""
    return f"{text} ({uuid.uuid4().hex[:12]})"


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def get(url: str, key: str | None = DEMO_KEY) -> Any:
    request = Request(url, headers={"authorization": f"Bearer {key}"} if key else {})
    with urlopen(request, timeout=30) as reply:
        return json.load(reply)


def script(name: str) -> Path:
    return CLIENTS / name


WEATHER: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
                "required": ["city"],
            },
        },
    }
]


class Event(BaseModel):
    name: str
    participants: list[str]
