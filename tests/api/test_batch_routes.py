"""The paths of files, uploads and batches: methods, prefixes, and a gateway without them."""

import pytest

from tests.world import Client
from tidegate.api.routes import BATCH_PREFIXES


@pytest.mark.parametrize("prefix", BATCH_PREFIXES)
@pytest.mark.parametrize("path", ["/files", "/files/file-1", "/files/file-1/content", "/batches", "/batches/batch_1"])
async def test_a_gateway_without_batches_says_so(client: Client, prefix: str, path: str) -> None:
    reply = await client.get(f"{prefix}{path}")
    assert (reply.status, reply.json["error"]["code"]) == (503, "not_configured")
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/files", "GET, POST"),
        ("POST", "/v1/files/file-1", "DELETE, GET"),
        ("DELETE", "/files/file-1/content", "GET"),
        ("GET", "/v1/uploads", "POST"),
        ("GET", "/openai/v1/uploads/upload_1/parts", "POST"),
        ("DELETE", "/v1/batches/batch_1", "GET"),
        ("GET", "/openai/batches/batch_1/cancel", "POST"),
    ],
)
async def test_another_method_is_405_and_names_the_allowed_ones(
    client: Client, method: str, path: str, allowed: str
) -> None:
    reply = await client.post(b"", path, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert reply.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/v1/filesystem", "/v1/files/file-1/other", "/v1/files/file-1/content/2", "/v1/uploads/upload_1", "/v1/files/"],
)
async def test_a_path_below_that_does_not_exist_is_404(client: Client, path: str) -> None:
    reply = await client.get(path)
    assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")


async def test_a_path_with_a_doubled_prefix_is_named(client: Client) -> None:
    message = (await client.get("/v1/v1/files")).json["error"]["message"]
    assert message == "No such endpoint: '/v1/v1/files'. Did you mean '/v1/files'?"
