"""curl, and the examples of the interfaces that the gateway takes the place of, as their documents show them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import published
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, MODEL, Provider, Server, get, unique, user

pytestmark = pytest.mark.slow

KEY = ("-H", f"Authorization: Bearer {DEMO_KEY}")
JSON = ("-H", "Content-Type: application/json")
WORKSPACE = ("-H", f"x-workspace-id: {DEMO_WORKSPACE}")


class Reply:
    """What `curl -i` printed."""

    def __init__(self, printed: str) -> None:
        *heads, self.body = re.split(r"(?<=\r\n)\r\n", printed, maxsplit=printed.count("HTTP/1.1 "))
        self.statuses = [int(head.split()[1]) for head in heads]
        lines = heads[-1].splitlines()[1:]
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}

    @property
    def status(self) -> int:
        return self.statuses[-1]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str | None]:
        return self.status, self.json["error"]["code"], self.json["error"]["param"]


def curl(url: str, *words: str) -> Reply:
    done = subprocess.run(["curl", "-siN", "-m", "30", url, *words], capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return Reply(done.stdout.decode())


def data(text: str = "Hello", model: str = MODEL, **fields: Any) -> tuple[str, str]:
    return "-d", json.dumps({"model": model, "messages": user(text), **fields})


def test_a_plain_call(server: Server) -> None:
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *data())
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json["choices"][0]["message"]["content"] == "Hello! How can I help you today?"


def test_a_stream_is_a_chunk_a_line(server: Server) -> None:
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *data(stream=True))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (reply.headers["cache-control"], reply.headers["transfer-encoding"]) == ("no-cache", "chunked")
    *chunks, done = published.events(reply.body.encode())
    assert done == "[DONE]"
    said = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(said) == "Hello! How can I help you today?"


def test_a_large_body_is_asked_for_before_it_is_sent(server: Server, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"model": MODEL, "messages": user("Hello " + "tide " * 400_000)}))
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, "-d", f"@{body}", "-H", "Expect: 100-continue")
    assert reply.statuses == [100, 200]


def test_a_body_that_is_too_large_is_not_read(server: Server, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"model": MODEL, "messages": user("x" * 11 * 1024 * 1024)}))
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, "-d", f"@{body}", "-H", "Expect: 100-continue")
    assert reply.error == (413, "request_too_large", None)


@pytest.mark.parametrize("headers", [(), ("-H", "Content-Type: text/plain"), ("-H", "Content-Type:")])
def test_what_is_not_json_is_refused(server: Server, headers: tuple[str, ...]) -> None:
    reply = curl(f"{server.url}/chat/completions", *KEY, *headers, *data())
    assert reply.error == (415, "unsupported_media_type", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ('{"messages": []}', None),
        ('{"model": "demo/echo", "messages": []}', "messages"),
        ('{"model": "demo/echo", "messages": [{"role": "user", "content": 7}]}', "messages[0].content"),
        ('{"model": "demo/echo", "messages": [{"role": "user", "content": "x"}], "n": 0}', "n"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(server: Server, body: str, param: str | None) -> None:
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, "-d", body)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    if param is not None:
        assert reply.json["error"]["param"] == param


def test_methods_and_paths_that_are_not_there(server: Server) -> None:
    assert curl(f"{server.url}/chat/completions", *KEY).error == (405, "method_not_allowed", None)
    assert curl(f"{server.url}/chat/completions", *KEY).headers["allow"] == "POST"
    assert curl(f"{server.url}/nothing", *KEY).error == (404, "not_found", None)
    assert curl(f"{server.root}/").error == (404, "not_found", None)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic dGlkZQ==", "Bearer sk-nobody", "Bearer \xfc"]
)
def test_a_key_that_nobody_has(server: Server, authorization: str) -> None:
    reply = curl(f"{server.url}/chat/completions", "-H", f"Authorization: {authorization}", *JSON, *data())
    assert reply.error == (401, "invalid_api_key", None)


def test_a_web_page_may_neither_ask_nor_read(server: Server) -> None:
    asked = ("-H", "Origin: https://app.example", "-H", "Access-Control-Request-Method: POST")
    wanted = ("-H", "Access-Control-Request-Headers: authorization,content-type,x-workspace-id")
    refused = curl(f"{server.url}/chat/completions", "-X", "OPTIONS", *asked, *wanted)
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *data(), "-H", "Origin: https://app.example")
    assert refused.status == 405
    assert not [name for name in (*refused.headers, *reply.headers) if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/docs", "/admin/v1/workspaces"])
def test_a_name_of_a_web_page_leads_nowhere(server: Server, path: str) -> None:
    rebound = curl(f"{server.root}{path}", *KEY, "-H", "Host: evil.example")
    assert (rebound.status, rebound.json["error"]["code"]) == (403, "host_not_allowed")


def test_the_surface_of_neuroflash(server: Server, provider: Provider) -> None:
    prompt = unique("Write a tagline for an AI content platform.")
    fields = data(prompt, temperature=0.7)
    reply = curl(f"{server.neuroflash}/chat/completions", "-X", "POST", *KEY, *WORKSPACE, *JSON, *fields)
    assert re.fullmatch(r"gen-\d{10}-[A-Za-z0-9]{8}", reply.json["id"])
    usage = reply.json["usage"]
    assert [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens", "words_used")] == [
        14,
        12,
        26,
        9,
    ]
    (sent,) = provider.received(prompt)
    assert (sent["model"], sent["temperature"]) == ("gpt-4.1-mini", 0.7)


def test_the_surface_of_neuroflash_streams_with_its_usage(server: Server) -> None:
    path = f"{server.neuroflash}/content_generation/chat/completions"
    reply = curl(path, *KEY, *WORKSPACE, *JSON, *data("Write a tagline.", stream=True))
    *_, usage, done = published.events(reply.body.encode())
    assert (usage["choices"], usage["usage"]["words_used"], done) == ([], 9, "[DONE]")


def test_the_surface_of_neuroflash_wants_a_workspace(server: Server) -> None:
    reply = curl(f"{server.neuroflash}/chat/completions", *KEY, *JSON, *data())
    assert reply.error[:2] == (400, "missing_workspace_id")
    foreign = curl(f"{server.neuroflash}/chat/completions", *KEY, *JSON, *data(), "-H", "x-workspace-id: ws_other")
    assert foreign.error[:2] == (403, "workspace_forbidden")


def test_the_reading_paths_of_all_surfaces(server: Server) -> None:
    assert curl(f"{server.neuroflash}/health").json["status"] == "ok"
    chosen = curl(f"{server.neuroflash}/model_selection/models", *KEY, *WORKSPACE).json
    fields = {"id", "name", "provider", "description", "context_window", "available", "reasoning_model"}
    assert chosen and all(set(model) == fields for model in chosen)
    assert MODEL in {model["id"] for model in get(f"{server.root}/public/models", key=None)}


def test_neuroas_thinking_object_is_understood(server: Server, provider: Provider) -> None:
    prompt = unique("Hello: tell me a fun fact about space.")
    thinking = {"thinking": True, "effort": "high"}
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *data(prompt, "openai/o3", thinking=thinking))
    assert reply.status == 200
    (sent,) = provider.received(prompt)
    assert (sent["reasoning_effort"], "thinking" in sent) == ("high", False)


def test_lunos_fields_are_taken(server: Server, provider: Provider) -> None:
    prompt = unique("Hello: explain it in one sentence.")
    messages = [{"role": "system", "content": "You are a helpful assistant."}, *user(prompt)]
    body = {
        "model": "openai/gpt-4o",
        "messages": messages,
        "temperature": 0.7,
        "max_tokens": 256,
        "observability": True,
    }
    head = ("-H", "X-App-ID: shop")
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *head, "-d", json.dumps(body))
    assert (reply.status, "x-tidegate-ignored-params" in reply.headers) == (200, False)
    (sent,) = provider.received(prompt)
    assert "observability" not in sent


def test_alphaneurals_bare_model_goes_to_the_default_provider(server: Server, provider: Provider) -> None:
    prompt = unique("Hello, who are you?")
    extensions = {"guardrails": ["secrets"], "num_retries": 2, "fallbacks": ["gpt-4o"], "caching": True}
    reply = curl(f"{server.root}/chat/completions", *KEY, *JSON, *data(prompt, "qwen3", **extensions))
    assert (reply.status, reply.json["model"]) == (200, "groq/qwen3")
    assert reply.headers["x-tidegate-provider"] == "groq"
    (entry,) = provider.entries(prompt)
    assert (entry["path"], entry["body"]["model"]) == ("/openai/v1/chat/completions", "qwen3")
    assert not set(extensions) & set(entry["body"])


def test_a_provider_of_the_operators_own(server: Server, provider: Provider) -> None:
    prompt = unique("Hello, harbour.")
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *data(prompt, "harbour/llama-of-ours"))
    assert (reply.status, reply.json["model"]) == (200, "harbour/llama-of-ours")
    assert len(provider.received(prompt)) == 1


def test_what_a_provider_cannot_honour_is_reported_or_refused(server: Server) -> None:
    fields = data("Hello", repetition_penalty=1.2)
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *fields)
    assert reply.headers["x-tidegate-ignored-params"] == "repetition_penalty"
    fields = data("Hello", repetition_penalty=1.2, require_parameters=True)
    reply = curl(f"{server.url}/chat/completions", *KEY, *JSON, *fields)
    assert reply.error == (400, "unsupported_parameter", "repetition_penalty")
