"""Where Azure's chat completions are, held against the official SDK, and what its deployments refuse."""

import json
from typing import Any

import httpx
import pytest
from openai import AzureOpenAI, OpenAI

from tests.providers.calls import asking, call
from tidegate.domain.deployment import Deployment
from tidegate.providers import Registry
from tidegate.providers.azure import PROVIDER, api_url
from tidegate.providers.base import KeyAuth

RESOURCE = "https://contoso.openai.azure.com"
REPLY = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


def url(base: str, model: str = "gpt-4o", version: str | None = None) -> str:
    return api_url(Deployment("azure", model, base, api_version=version), "/chat/completions")


class Wire(httpx.MockTransport):
    """Answers every request, and keeps the last one."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.request: Any = None

    def client(self) -> Any:
        return httpx.Client(transport=self)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        return httpx.Response(200, json=REPLY)


def ask(client: OpenAI, model: str) -> None:
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("model", ["gpt-4o", "my.deployment_1"])
@pytest.mark.parametrize("base", [RESOURCE, f"{RESOURCE}/", "https://apim.contoso.test/ai"])
def test_an_endpoint_has_the_official_sdks_meaning(base: str, model: str) -> None:
    wire = Wire()
    client = AzureOpenAI(azure_endpoint=base, api_key="k", api_version="2024-10-21", http_client=wire.client())
    ask(client, model)
    assert url(base, model) == str(wire.request.url)
    assert PROVIDER.build_request(call(asking()), Deployment("azure", model, base)).auth == KeyAuth("api-key", "")
    assert wire.request.headers["api-key"] == "k"


@pytest.mark.parametrize("base", [f"{RESOURCE}/openai/v1/", f"{RESOURCE}/openai/v1"])
def test_the_v1_api_is_addressed_as_openais_own(base: str) -> None:
    wire = Wire()
    ask(OpenAI(base_url=base, api_key="k", http_client=wire.client()), "gpt-4o")
    assert url(base) == str(wire.request.url) == f"{RESOURCE}/openai/v1/chat/completions"
    assert json.loads(wire.request.content)["model"] == "gpt-4o"
    assert url(base, version="preview") == f"{RESOURCE}/openai/v1/chat/completions?api-version=preview"


def test_a_deployments_name_is_encoded() -> None:
    path = "/openai/deployments/gpt%204%2Feu%3F%23/chat/completions?api-version=2024-10-21"
    assert url(RESOURCE, "gpt 4/eu?#") == RESOURCE + path


@pytest.mark.parametrize(
    ("base", "version", "expected"),
    [
        (f"{RESOURCE}/openai", None, "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        (RESOURCE, "2025-04-01-preview", "/openai/deployments/gpt-4o/chat/completions?api-version=2025-04-01-preview"),
        (f"{RESOURCE}/openai/deployments/one", None, "/openai/deployments/one/chat/completions?api-version=2024-10-21"),
        (f"{RESOURCE}?api-version=a&x=1", "b", "/openai/deployments/gpt-4o/chat/completions?x=1&api-version=a"),
        (f"{RESOURCE}/models", None, "/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)
def test_other_forms_of_the_base_url_are_understood(base: str, version: str | None, expected: str) -> None:
    assert url(base, version=version) == RESOURCE + expected


def test_azures_aliases_lead_to_it() -> None:
    assert Registry().load("azure_openai") is not None
    assert Registry().load("azure") is PROVIDER


@pytest.mark.parametrize("model", ["o3-mini", "team-o3-mini-eu", "o4-mini", "prod-gpt-5-mini"])
def test_what_a_reasoning_model_refuses_is_known_by_its_deployments_name(model: str) -> None:
    request = PROVIDER.build_request(call(asking(temperature=0.5, max_tokens=9)), Deployment("azure", model, RESOURCE))
    body = json.loads(request.body)
    assert "temperature" not in body
    assert body["max_completion_tokens"] == 9
    assert request.ignored == ("temperature",)
