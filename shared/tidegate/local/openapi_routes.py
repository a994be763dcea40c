"""`/openapi.json` and `/docs`, a page to read it; on the local server only."""

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tidegate.json import encode
from tidegate.local.openapi import openapi_document


def document_routes() -> list[BaseRoute]:
    body = encode(openapi_document())

    async def openapi(request: Request) -> Response:
        return Response(body, media_type="application/json")

    async def docs(request: Request) -> Response:
        return get_swagger_ui_html(openapi_url="/openapi.json", title="Tidegate")

    return [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", docs, methods=["GET"])]
