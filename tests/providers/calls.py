"""Calls for the tests of providers."""

import json
from pathlib import Path
from typing import Any

from tidegate.chat.operation import CHAT
from tidegate.chat.request import ChatCall, build_chat_request
from tidegate.domain.call import Call, CallOf
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Operation
from tidegate.domain.workspace import Principal, Workspace
from tidegate.providers.base import Provider, UpstreamRequest
from tidegate.surfaces.openai import OPENAI

BASE_URL = "https://host.invalid/v1"


def call(body: dict[str, Any]) -> ChatCall:
    """An admitted call with that body."""
    workspace = Workspace("ws_1", "One")
    principal = Principal("key_1", ("ws_1",))
    return ChatCall("01J", OPENAI, CHAT, build_chat_request(body), principal, workspace, started_at=0, deadline=60)


def operation_call(operation: Operation, body: dict[str, Any]) -> Call:
    """An admitted call of any operation."""
    request = operation.parse(json.dumps(body).encode())
    workspace, principal = Workspace("ws_1", "One"), Principal("key_1", ("ws_1",))
    return CallOf("01J", OPENAI, operation, request, principal, workspace, started_at=0, deadline=60)


def sent(provider: Provider, body: dict[str, Any], model: str = "m") -> tuple[Any, tuple[str, ...]]:
    """The body that goes to the provider, and what is reported."""
    request = built(provider, body, model)
    return json.loads(request.body), request.ignored


def built(provider: Provider, body: dict[str, Any], model: str = "m") -> UpstreamRequest:
    return provider.build_request(call(body), Deployment(provider.name, model, BASE_URL))


def asking(**fields: Any) -> dict[str, Any]:
    """A small request with those fields."""
    return {"model": "any/m", "messages": [{"role": "user", "content": "Hi"}], **fields}


CASES = Path(__file__).parent / "cases"
