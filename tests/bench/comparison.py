"""The same job as the data plane's, as it is usually written: FastAPI, pydantic, httpx and boto3. Stands by itself.

Look the key and its workspace up in DynamoDB, call the provider, stream its answer. What the gateway does beyond that
(usage, billing, retries, errors) is left out.
"""

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import httpx
from anyio import to_thread
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

TABLE = os.environ["TIDEGATE_TABLE"]


class Message(BaseModel):
    role: str
    content: str


class ChatRequest(BaseModel):
    model: str
    messages: list[Message]
    stream: bool = False
    user: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    # boto3 has no types of its own.
    app.state.table = boto3.client("dynamodb")  # pyright: ignore[reportUnknownMemberType]
    async with httpx.AsyncClient(timeout=60) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat/completions")
async def chat(
    request: Request, asked: ChatRequest, authorization: str = Header(), x_workspace_id: str = Header()
) -> StreamingResponse:
    key = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    keys = [
        {"pk": {"S": f"KEY#{key}"}, "sk": {"S": "KEY"}},
        {"pk": {"S": f"WORKSPACE#{x_workspace_id}"}, "sk": {"S": "WS"}},
    ]

    def look_up() -> Any:
        return request.app.state.table.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})

    found = await to_thread.run_sync(look_up)
    if len(found["Responses"][TABLE]) != 2:
        raise HTTPException(401)
    client: httpx.AsyncClient = request.app.state.client
    sent = client.build_request(
        "POST",
        f"{os.environ['OPENAI_BASE_URL']}/chat/completions",
        headers={"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        json=asked.model_dump(exclude_none=True),
    )
    answer = await client.send(sent, stream=True)
    return StreamingResponse(answer.aiter_raw(), media_type="text/event-stream")
