from pathlib import Path

import pytest

from tidegate.domain.routes import Route, RouteTarget
from tidegate.errors import ConfigurationError
from tidegate.json import Json, decode
from tidegate.policy.routing.route_config import parse_operator_routes

TARGET: Json = {"model": "openai/gpt-4o"}


def test_a_list_is_read() -> None:
    listed: Json = [
        {"name": "fast", "targets": [TARGET, {"model": "vllm/m", "base_url": "http://vllm.test/v1", "key": None}]},
        {"name": "near", "targets": [{"model": "bedrock/m", "region": "eu-west-1", "weight": 2}], "by": "weight"},
    ]
    assert parse_operator_routes(listed) == (
        Route("fast", (RouteTarget("openai/gpt-4o"), RouteTarget("vllm/m", base_url="http://vllm.test/v1", key=None))),
        Route("near", (RouteTarget("bedrock/m", 2, "eu-west-1"),), by="weight"),
    )


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({}, "TIDEGATE_ROUTES: Expected `array`, got `object`."),
        ([3], "TIDEGATE_ROUTES[0]: Expected `object`, got `int`."),
        ([{"name": "a"}], "TIDEGATE_ROUTES[0]: Object missing required field `targets`."),
        ([{"name": "a", "targets": 1}], "TIDEGATE_ROUTES[0].targets: Expected `array`, got `int`."),
        ([{"name": "a", "targets": [1]}], "TIDEGATE_ROUTES[0].targets[0]: Expected `object`, got `int`."),
        ([{"name": "a", "targets": [TARGET], "by": "luck"}], "TIDEGATE_ROUTES[0].by: Invalid enum value 'luck'."),
        (
            [{"name": "a", "targets": [{"model": "openai/gpt-4o", "wieght": 1}]}],
            "TIDEGATE_ROUTES[0].targets[0]: There is no field 'wieght'. "
            "The fields are api_version, base_url, key, model, region, weight.",
        ),
        (
            [{"name": "a", "targets": [{"model": "gpt-4o"}]}],
            "TIDEGATE_ROUTES[0].targets[0].model: A target's model must be written as provider/model, "
            "such as openai/gpt-4o, not 'gpt-4o'.",
        ),
    ],
)
def test_a_fault_is_named_by_its_path(listed: Json, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_operator_routes(listed)
    assert caught.value.message == said


def test_a_field_of_a_route_that_nobody_knows_is_a_fault() -> None:
    with pytest.raises(ConfigurationError, match=r"TIDEGATE_ROUTES\[0\]: There is no field 'stiky'"):
        parse_operator_routes([{"name": "a", "targets": [TARGET], "stiky": True}])


def test_the_example_in_the_documents_is_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "ROUTES.md").read_text()
    example = text.partition("```json\n")[2].partition("```")[0]
    [route] = parse_operator_routes(decode(example))
    assert (route.name, len(route.targets), route.sticky) == ("fast", 3, True)
