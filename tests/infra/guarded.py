"""A function's connections with no more rights than its role has, and the provider that its calls reach."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import boto3
import httpx

from tests.infra.accesses import GuardedTransport
from tests.infra.roles import role
from tests.store_worlds import REGION, World
from tests.world import STREAM, WORKSPACE, completion, event_stream, sse
from tidegate.aws.bucket import Bucket
from tidegate.aws.world import AwsWorld
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.reqwest import ReqwestTransport

ROUTES = [
    {
        "name": "fast",
        "targets": [{"model": "openai/gpt-4.1-mini"}, {"model": "mistral/mistral-small-latest"}],
        "cooldown_failures": 1,
    }
]


def settings(stores: World, endpoint: str, **env: str) -> Settings:
    assert stores.store is not None
    names = {"TIDEGATE_TABLE": stores.store.table, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    return Settings.from_env({**names, **keys, "TIDEGATE_WORKSPACE_SECRETS": "tidegate/workspaces", **env})


@asynccontextmanager
async def running_as(
    name: str, configured: Settings, **parameters: str
) -> AsyncIterator[tuple[AwsWorld, GuardedTransport]]:
    """The connections of a function that has this role, in a stack with these parameters."""
    guarded = GuardedTransport(ReqwestTransport(), role(name, **parameters))
    async with AwsWorld(configured, http=guarded) as world:
        yield world, guarded


async def data_plane_settings(stores: World, endpoint: str, **env: str) -> Settings:
    """Settings with all that the template gives the data plane; the bucket and the secret exist."""
    bucket, secret = f"replies-{uuid.uuid4()}", f"providers-{uuid.uuid4()}"
    configured = settings(
        stores,
        endpoint,
        TIDEGATE_ROUTES=json.dumps(ROUTES),
        TIDEGATE_REPLY_BUCKET=bucket,
        TIDEGATE_EVENT_BUS="default",
        TIDEGATE_PROVIDER_SECRET=secret,
        **env,
    )
    transport = ReqwestTransport()
    world = AwsWorld(configured, http=transport)
    await Bucket(AwsService(transport, world.signing_keys, REGION, "s3", endpoint), bucket).create()
    await transport.close()
    client = boto3.client("secretsmanager", endpoint_url=endpoint, region_name=REGION)
    client.create_secret(Name=secret, SecretString=json.dumps({"OPENAI_API_KEY": "one", "MISTRAL_API_KEY": "two"}))
    with suppress(client.exceptions.ResourceExistsException):  # of another test
        client.create_secret(Name=f"tidegate/workspaces/{WORKSPACE.id}", SecretString='{"MISTRAL_API_KEY": "three"}')
    return configured


def provider(request: httpx.Request) -> httpx.Response:
    """OpenAI is busy, so that it cools down; Mistral answers."""
    if request.url.host == "api.openai.com":
        return httpx.Response(503, json={"error": {"message": "busy"}})
    if json.loads(request.content).get("stream"):
        return event_stream(sse(*STREAM))
    usage = {"prompt_tokens": 14, "completion_tokens": 1_000, "total_tokens": 1_014}
    return httpx.Response(200, json=completion(usage=usage))
