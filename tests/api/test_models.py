"""The lists of models, as OpenAI's and OpenRouter's clients and neuroflash's read them."""

import json
from datetime import date
from decimal import Decimal

import httpx
import jsonschema
import pytest
from msgspec.structs import replace
from openai.types import Model as OpenAIModel

from tests.world import WORKSPACE, world
from tidegate.api import model_views
from tidegate.catalog import CatalogModel, load_catalog
from tidegate.catalog.row import Price
from tidegate.domain.routes import Route, RouteTarget
from tidegate.local.openapi import openapi_document

ROW = CatalogModel(
    id="maker/one",
    name="One",
    source="this test",
    checked=date(2026, 11, 21),
    context_window=200_000,
    output_limit=64_000,
    inputs=("text", "image"),
    outputs=("text",),
    reasoning="budget",
    parameters=("max_tokens", "reasoning"),
    prices=(
        Price(
            input=Decimal(3),
            output=Decimal(15),
            cached=Decimal("0.3"),
            written=Decimal("3.75"),
            search=Decimal(10),
            request=Decimal(5),
        ),
    ),
)


def refuse(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request.url)


def test_a_model_has_openais_fields_and_openrouters() -> None:
    assert json.loads(json.dumps(model_views.model_json(ROW))) == {
        "id": "maker/one",
        "object": "model",
        "created": 1_795_219_200,
        "owned_by": "maker",
        "type": "chat",
        "dimensions": None,
        "name": "One",
        "description": "One by maker, 200,000 tokens of context, reads text and image, reasons",
        "context_length": 200_000,
        "architecture": {
            "input_modalities": ["text", "image"],
            "output_modalities": ["text"],
            "modality": "text+image->text",
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": "0.000003",
            "completion": "0.000015",
            "request": "0.005",
            "image": "0",
            "web_search": "0.01",
            "internal_reasoning": "0",
            "input_cache_read": "0.0000003",
            "input_cache_write": "0.00000375",
        },
        "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "reasoning"],
        "canonical_slug": "maker/one",
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": "/v1/models/maker/one"},
        "deprecated": False,
    }


def test_what_is_not_known_of_a_model_is_not_made_up() -> None:
    bare = model_views.model_json(
        CatalogModel(id="maker/bare", name="Bare", source="this test", checked=date(2026, 11, 21))
    )
    assert (bare["context_length"], bare["supported_parameters"], bare["description"]) == (None, (), "Bare by maker")
    assert bare["pricing"] == {"prompt": "-1", "completion": "-1"}
    free = CatalogModel(
        id="a/b", name="B", source="this test", checked=date(2026, 11, 21), prices=(Price(Decimal(0), Decimal(0)),)
    )
    assert model_views.model_json(free)["pricing"] == {
        "prompt": "0", "completion": "0", "request": "0", "image": "0", "web_search": "0", "internal_reasoning": "0"
    }  # fmt: skip


def test_every_model_of_the_catalogue_is_what_the_document_promises() -> None:
    schema = openapi_document()["components"]["schemas"]["Model"]  # type: ignore[index]
    check = jsonschema.Draft202012Validator(schema)
    for model in load_catalog():
        found = json.loads(json.dumps(model_views.model_json(model)))
        check.validate(found)
        OpenAIModel.model_validate(found, strict=True)


async def test_the_list_can_be_filtered_by_what_models_take_and_give() -> None:
    async with world(refuse) as client:
        every = (await client.get("/v1/models")).json["data"]
        for query in ("input=text,image", "input=image&output=text", "input=text&input=audio", "output=text,audio"):
            names = dict.fromkeys(("input", "output"), frozenset[str]())
            for part in query.split("&"):
                side, _, listed = part.partition("=")
                names[side] |= frozenset(listed.split(","))
            expected = [
                model["id"]
                for model in every
                if names["input"] <= set(model["architecture"]["input_modalities"])
                and names["output"] <= set(model["architecture"]["output_modalities"])
            ]
            found = (await client.get(f"/v1/models?{query}")).json
            assert [model["id"] for model in found["data"]] == expected and 0 < len(expected) < len(every)
            assert (found["total_count"], found["links"]) == (len(expected), {"next": None})
            assert (await client.get(f"/v1/models/count?{query}")).json == {"data": {"count": len(expected)}}
            assert [model["id"] for model in (await client.get(f"/public/models?{query}")).json] == expected


@pytest.mark.parametrize(
    ("query", "param"), [("input=smell", "input"), ("output=text,video", "output"), ("input=", "input")]
)
async def test_an_unknown_modality_names_its_parameter(query: str, param: str) -> None:
    async with world(refuse) as client:
        for path in ("/v1/models", "/public/models"):
            reply = await client.get(f"{path}?{query}")
            assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (
                400,
                "invalid_request",
                param,
            )


async def test_the_public_list_is_lunoss_and_needs_no_key() -> None:
    async with world(refuse) as client:
        public = await client.get("/public/models", authorization="")
        listed = (await client.get("/v1/models")).json["data"]
        assert (public.status, [model["id"] for model in public.json]) == (200, [model["id"] for model in listed])
    assert model_views.public_model_json(ROW) == {
        "id": "maker/one",
        "name": "One",
        "provider": "maker",
        "description": "One by maker, 200,000 tokens of context, reads text and image, reasons",
        "parameters": {"context": 200_000, "max_output_tokens": 64_000, "size": ""},
        "pricePerMillionTokens": {"input": 3.0, "output": 15.0},
        "capabilities": ["text-generation"],
        "status": "available",
    }
    unknown = model_views.public_model_json(replace(ROW, prices=(), outputs=("text", "image"), deprecated=True))
    assert (unknown["pricePerMillionTokens"], unknown["status"]) == (None, "deprecated")
    assert unknown["capabilities"] == ["text-generation", "image-generation"]


@pytest.mark.parametrize("prefix", ["", "/api/v1", "/openai/v1", "/openai"])
async def test_the_list_is_where_other_base_urls_lead(prefix: str) -> None:
    async with world(refuse) as client:
        assert (await client.get(f"{prefix}/models")).body == (await client.get("/v1/models")).body
        one = (await client.get(f"{prefix}/models/openai/gpt-4o")).json
        assert one == (await client.get("/v1/models/openai/gpt-4o")).json
        if prefix == "/api/v1":
            assert (await client.get(f"{prefix}/model/openai/gpt-4o")).json == {"data": one}


async def test_neuroflash_learns_which_models_reason() -> None:
    async with world(refuse) as client:
        path = "/api/ds-prototypes/model_selection/models"
        listed = (await client.get(path, **{"x-workspace-id": "ws_test"})).json
        reasons = {model["id"]: model["reasoning_model"] for model in listed}
        assert (reasons["openai/o3"], reasons["openai/gpt-5"], reasons["openai/gpt-4o"]) == (True, True, False)
        assert reasons == {
            model.id: model.can_reason for model in load_catalog() if model.provider in ("openai", "mistral")
        }


ROUTES = [
    {"name": "fast", "targets": [{"model": "openai/gpt-4.1"}, {"model": "openai/gpt-4o"}], "by": "weight"},
    {"name": "odd", "targets": [{"model": "openai/nobody-knows"}]},
    {"name": "nowhere", "targets": [{"model": "groq/llama"}]},
]


async def test_routes_are_listed_first_for_those_who_may_ask_for_them() -> None:
    own = replace(
        WORKSPACE, routes=(Route("odd", (RouteTarget("openai/gpt-4o"), RouteTarget("mistral/mistral-large-latest"))),)
    )
    async with world(refuse, workspace=own, TIDEGATE_ROUTES=json.dumps(ROUTES)) as client:
        listed = (await client.get("/v1/models")).json["data"]
        odd, fast, first = listed[:3]
        assert (odd["id"], fast["id"], odd["owned_by"]) == ("odd", "fast", "tidegate")
        assert odd["description"] == "A route to openai/gpt-4o, mistral/mistral-large-latest, in this order"
        assert odd["pricing"] == {"prompt": "-1", "completion": "-1"}
        assert fast["description"] == "A route to openai/gpt-4.1, openai/gpt-4o, by weight"
        assert (fast["context_length"], fast["architecture"]["input_modalities"]) == (
            128_000,
            ["text", "image", "file"],
        )
        assert first["id"] != "nowhere"
        assert first["id"] == (await client.get("/public/models")).json[0]["id"]
        assert (await client.get("/v1/models/fast")).json == fast
        seen = (await client.get("/v1/models?input=audio")).json["data"]
        assert not {"odd", "fast"} & {model["id"] for model in seen}
        headers = {"x-workspace-id": "ws_test"}
        selected = (await client.get("/api/ds-prototypes/model_selection/models", **headers)).json
        assert [model["id"] for model in selected[:2]] == ["odd", "fast"]
        assert selected[0].keys() == selected[2].keys()


async def test_of_a_route_to_an_unknown_model_little_is_known() -> None:
    async with world(refuse, TIDEGATE_ROUTES=json.dumps(ROUTES)) as client:
        odd = (await client.get("/v1/models/odd")).json
        assert (odd["context_length"], odd["supported_parameters"], odd["created"]) == (None, [], 0)
        assert [model["id"] for model in (await client.get("/v1/models")).json["data"][:2]] == ["fast", "odd"]
