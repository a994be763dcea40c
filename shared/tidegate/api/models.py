"""The lists of models, and the health endpoints.

Source: https://platform.openai.com/docs/api-reference/models/list; the fields beyond OpenAI's are OpenRouter's
(https://openrouter.ai/docs/api-reference/list-available-models), whose clients read them.
"""

import re
from calendar import timegm
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tidegate import __version__
from tidegate.catalog import Model
from tidegate.chat.json import encode
from tidegate.domain.call import Surface
from tidegate.errors import ModelNotFound
from tidegate.gateway import Gateway

# The catalogue's source does not say which models reason; their names do.
_REASONING = re.compile(
    r"(?i)/(?:.*/)?(o[134]\b|gpt-5|gpt-oss|grok-(?:3-mini|4))|reason|think|magistral|-r1\b|qwq|glm-[45]"
)


def routes() -> list[BaseRoute]:
    return [
        Route("/v1/models", _list, methods=["GET"]),
        Route("/v1/models/{model_id:path}", _one, methods=["GET"]),
        Route("/public/models", _public, methods=["GET"]),
        Route("/api/ds-prototypes/model_selection/models", _selection, methods=["GET"]),
        Route("/health", _health, methods=["GET"]),
        Route("/api/ds-prototypes/health", _health, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    gateway = await _admitted(request, "openai")
    return _json({"object": "list", "data": [_wire(model) for model in _available(gateway)]})


async def _one(request: Request) -> Response:
    gateway = await _admitted(request, "openai")
    model_id: str = request.path_params["model_id"]
    deployment = gateway.router.plan(model_id).deployments[0]
    model = gateway.catalog.find(deployment.model_id)
    if model is None:
        raise ModelNotFound(f"The catalogue does not know {model_id!r}; a call may pass all the same.", param="model")
    return _json(_wire(model))


async def _public(request: Request) -> Response:
    gateway: Gateway = request.state.gateway
    return _json({"object": "list", "data": [_wire(model) for model in _available(gateway)]})


async def _selection(request: Request) -> Response:
    gateway = await _admitted(request, "neuroflash")
    return _json(
        [
            {
                "id": model.id,
                "name": model.name,
                "provider": model.provider,
                "description": _describe(model),
                "context_window": model.context_window,
                "available": not model.deprecated,
                "reasoning_model": _REASONING.search(model.id) is not None,
            }
            for model in _available(gateway)
        ]
    )


async def _health(request: Request) -> Response:
    return _json({"status": "ok", "version": __version__})


async def _admitted(request: Request, surface: Surface) -> Gateway:
    gateway: Gateway = request.state.gateway
    await gateway.authenticator.authenticate(
        request.headers.get("authorization"),
        request.headers.get("x-workspace-id"),
        required_workspace=surface == "neuroflash",
    )
    return gateway


def _available(gateway: Gateway) -> Iterator[Model]:
    """The catalogue's models of the providers that are configured."""
    ready = {name for name, endpoint in gateway.router.endpoints.items() if not endpoint.missing}
    return (model for model in gateway.catalog if model.provider in ready)


def _wire(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": timegm(model.checked.timetuple()),
        "owned_by": model.provider,
        "name": model.name,
        "context_length": model.context_window,
    }


def _describe(model: Model) -> str:
    limit = "" if model.context_window is None else f", {model.context_window:,} tokens of context"
    return f"{model.name or model.id} by {model.provider}{limit}"


def _json(value: object) -> Response:
    return Response(encode(value), media_type="application/json")
