"""Keys of providers that a workspace brought: its calls go with them, and with no other."""

from collections.abc import Mapping

import httpx
from msgspec.structs import replace

from tests.world import USER, WORKSPACE, Client, Reply, completion, world
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.ports import Vault

BROUGHT = replace(
    WORKSPACE, credentials=(WorkspaceCredential("OPENAI_API_KEY", 1.0), WorkspaceCredential("GROQ_API_KEY", 1.0))
)
KEPT = {"OPENAI_API_KEY": "a-key-of-its-own", "GROQ_API_KEY": "another-of-its-own"}


async def asked(
    model: str, kept: Mapping[str, str] = KEPT, reply: httpx.Response | None = None
) -> tuple[Reply, list[str | None]]:
    """The answer to one call, and with which keys the provider was called."""
    said = reply or httpx.Response(200, json=completion())
    async with world(lambda _: said, workspace=BROUGHT) as client:
        await _vault(client).update(BROUGHT.id, lambda _: kept)
        answer = await client.post({"model": model, "messages": USER})
        return answer, [request.headers.get("authorization") for request in client.requests]


def _vault(client: Client) -> Vault:
    return client.app.lifespan_state["gateway"].workspace_keys.vault


async def test_a_call_goes_with_the_key_of_its_workspace() -> None:
    answer, keys = await asked("openai/gpt-4.1-mini")
    assert (answer.status, keys) == (200, ["Bearer a-key-of-its-own"])


async def test_a_provider_that_only_the_workspace_has_a_key_for_is_configured() -> None:
    answer, keys = await asked("groq/llama-3.3-70b-versatile")
    assert (answer.status, keys) == (200, ["Bearer another-of-its-own"])


async def test_for_other_providers_it_is_the_gateways_key() -> None:
    answer, keys = await asked("mistral/mistral-large-latest")
    assert (answer.status, keys) == (200, ["Bearer provider-secret-2"])


async def test_a_key_that_is_lost_is_never_replaced_by_the_gateways() -> None:
    answer, keys = await asked("openai/gpt-4.1-mini", {})
    assert (answer.status, answer.json["error"]["code"], keys) == (503, "provider_not_configured", [])


async def test_a_provider_that_repeats_the_key_repeats_it_to_nobody() -> None:
    fault = {"error": {"message": "Not a key: a-key-of-its-own", "type": "invalid_request_error"}}
    answer, _ = await asked("openai/gpt-4.1-mini", reply=httpx.Response(400, json=fault))
    assert answer.status == 400
    assert "a-key-of-its-own" not in str(answer.json)
