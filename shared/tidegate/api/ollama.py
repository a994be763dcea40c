"""The list of models in Ollama's form. Source: https://docs.ollama.com/api/tags (2026-11)."""

import hashlib
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api import route_models
from tidegate.api.account import authenticate, gateway_of, json_reply
from tidegate.catalog import CatalogModel

_NOT_CHATTING = frozenset({"embeddings", "rerank", "moderation"})


async def list_tags(request: Request) -> Response:
    """Answer with the workspace's routes and the chat models of all configured providers; sizes are not known."""
    gateway = gateway_of(request)
    _, workspace = await authenticate(request)
    configs = gateway.router.provider_configs
    configured = {name for name, config in configs.items() if not config.missing_settings}
    routes = [_tag(route.name, "") for route in route_models.usable_routes(gateway.router, workspace)]
    models = [_tag(model.id, model.checked.isoformat()) for model in gateway.catalog if _chats(model, configured)]
    return json_reply({"models": [*routes, *models]})


def _chats(model: CatalogModel, configured: set[str]) -> bool:
    return model.provider in configured and _NOT_CHATTING.isdisjoint(model.outputs)


def _tag(name: str, day: str) -> dict[str, object]:
    modified = datetime.fromisoformat(day) if day else datetime.fromtimestamp(0, UTC)
    details = dict.fromkeys(("parent_model", "format", "family", "parameter_size", "quantization_level"), "")
    return {
        "name": name,
        "model": name,
        "modified_at": modified.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        "size": 0,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": {**details, "families": []},
    }
