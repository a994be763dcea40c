"""No caller reads files, caches or stores of another workspace that shares the gateway's provider account."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import BASE_URL, asking, call
from tidegate.domain.deployment import Deployment
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.errors import UnsupportedParameter
from tidegate.providers import Registry, chat_translator
from tidegate.providers.account_ids import ACCOUNT_FIELDS, ACCOUNT_KEYS, TEXT_REFERENCES
from tidegate.providers.base import UpstreamRequest

REGISTRY = Registry()
PROVIDERS = sorted(spec.name for spec in REGISTRY.specs() if spec.chats)
SECRET = "PROVIDER_KEY"
SOMEONES = "zebra-0123456789"


def built(provider: str, body: dict[str, Any], model: str = "m", own_key: bool = False) -> UpstreamRequest:
    made = call(body)
    if own_key:
        credential = WorkspaceCredential(SECRET, changed_at=0)
        made = replace(made, workspace=replace(made.workspace, credentials=(credential,)))
    deployment = Deployment(provider, model, BASE_URL, SECRET, region="eu-central-1")
    return REGISTRY.translator(provider, "chat").build_request(made, deployment)


def with_part(part: dict[str, Any]) -> dict[str, Any]:
    return {"model": "any/m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_id_in_a_field_reaches_no_provider(provider: str) -> None:
    for field in ACCOUNT_FIELDS:
        value = {"id": SOMEONES} if field.name == "container" else SOMEONES
        request = built(provider, asking(**{field.name: value}))
        assert SOMEONES.encode() not in request.body and field.name in request.ignored


@pytest.mark.parametrize(
    ("provider", "field", "value"),
    [
        ("gemini", "cachedContent", "cachedContents/abc"),
        ("anthropic", "container", "container_011"),
        ("anthropic", "container", {"skills": [{"type": "custom", "skill_id": "skill_01"}]}),
    ],
)
def test_the_same_field_is_sent_with_the_workspaces_own_key(provider: str, field: str, value: Any) -> None:
    body = asking(**{field: value})
    assert field in built(provider, body).ignored
    own = built(provider, body, own_key=True)
    assert field.encode() in own.body and field not in own.ignored


def test_a_new_container_with_anthropics_own_skills_is_sent() -> None:
    container = {"skills": [{"type": "anthropic", "skill_id": "pptx", "version": "latest"}]}
    request = built("anthropic", asking(container=container))
    assert b"pptx" in request.body and request.ignored == ()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-0123"}},
        {"type": "file", "file": {"file_data": "files/0123"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_011"}},
        {"type": "document", "source": {"type": "url", "url": "s3://bucket/secret.pdf"}},
        {"type": "document", "source": {"type": "content", "content": [{"source": {"file_id": "file_011"}}]}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/secret.png"}},
        {"type": "image_url", "image_url": {"url": "https://generativelanguage.googleapis.com/v1beta/files/0123"}},
        {"type": "video_url", "video_url": {"url": "ms://0123"}},
        {"type": "video_url", "video_url": {"url": "S3://bucket/secret.mp4"}},
    ],
)
def test_a_file_of_the_account_is_refused(provider: str, part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        built(provider, with_part(part))
    assert caught.value.param == "messages[0].content[1]"


def test_a_file_of_the_workspaces_own_account_is_sent() -> None:
    part = {"type": "file", "file": {"file_id": "file-0123"}}
    assert b"file-0123" in built("openai", with_part(part), own_key=True).body


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "s3://bucket/key"},
        {"type": "document", "source": {"type": "text", "data": "s3://bucket/key", "media_type": "text/plain"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/files/dot.png"}},
    ],
)
def test_a_text_or_a_public_address_is_no_reference(part: dict[str, Any]) -> None:
    assert built("openai", with_part(part)).ignored == ()


def test_a_reference_in_a_text_is_refused_where_the_provider_reads_it() -> None:
    body = {"model": "any/m", "messages": [{"role": "system", "content": "fileid://file-fe-0123"}]}
    with pytest.raises(UnsupportedParameter):
        built("qwen", body)
    assert b"fileid://" in built("openai", body).body


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "file_search", "vector_store_ids": ["vs_0123"]},
        {"type": "fileSearch", "fileSearch": {"fileSearchStoreNames": ["fileSearchStores/0123"]}},
        {"type": "retrieval", "retrieval": {"vertexAiSearch": {"datastore": "0123"}}},
        {"type": "collections_search", "collection_ids": ["0123"]},
        {"type": "mcp", "connector_id": "connector_0123"},
    ],
)
@pytest.mark.parametrize("provider", ["openai", "gemini", "vertex", "xai", "neuroa", "anthropic"])
def test_a_tool_that_reads_the_account_is_left_out(provider: str, tool: dict[str, Any]) -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    request = built(provider, asking(tools=[tool, function]), model="gemini-3-flash-preview")
    assert b"0123" not in request.body and "tools[0]" in request.ignored and b'"f"' in request.body
    alone = built(provider, asking(tools=[tool], tool_choice="auto"))
    assert b"tool" not in alone.body and alone.ignored == ("tools[0]",)


def test_the_table_is_loaded_for_every_field_and_provider_in_it() -> None:
    names = {field.name for field in ACCOUNT_FIELDS}
    assert names == chat_translator._ACCOUNT_FIELDS  # pyright: ignore[reportPrivateUsage]
    assert tuple(TEXT_REFERENCES) == chat_translator._TEXT_REFERENCE_PROVIDERS  # pyright: ignore[reportPrivateUsage]
    assert all(field.source for field in ACCOUNT_FIELDS) and ACCOUNT_KEYS
