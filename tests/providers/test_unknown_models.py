"""How providers say that they do not have a model: each is a 404 `model_not_found`, after which a fallback is asked.

The wordings are those of public bug reports and documents (2024 to 2026), with invented names.
"""

from typing import Any

import pytest

from tidegate.errors import ProviderBadRequest, ProviderModelNotFound
from tidegate.policy.routing.retry import is_deployment_fault
from tidegate.providers import Registry

_registry = Registry()


def error(message: Any, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


UNKNOWN: list[tuple[str, int, Any]] = [
    ("openai", 404, error("The model `m` does not exist or you do not have access to it.", code="model_not_found")),
    ("openai", 400, error("The requested model 'm' does not exist.", code="model_not_found", param="model")),
    ("azure", 404, error("The API deployment for this resource does not exist.", code="DeploymentNotFound")),
    ("azure", 400, error("Unknown model: m", code="unknown_model")),
    ("deepseek", 400, error("Model Not Exist", type="invalid_request_error", code="invalid_request_error", param=None)),
    (
        "deepseek",
        400,
        error("The supported API model names are a or b, but you passed m.", code="invalid_request_error", param=None),
    ),
    ("openrouter", 400, error("openai/gpt-nonexistent is not a valid model ID", code=400)),
    ("openrouter", 404, error("No endpoints found for a/m:free.", code=404)),
    ("mistral", 400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"}),
    (
        "groq",
        400,
        error("The model `m` has been decommissioned and is no longer supported.", code="model_decommissioned"),
    ),
    ("groq", 404, error("The model `m` does not exist or you do not have access to it.", code="model_not_found")),
    ("xai", 400, {"code": "Client specified an invalid argument", "error": "Model not found: m"}),
    ("xai", 404, {"code": "Some requested entity was not found", "error": "The model m does not exist."}),
    (
        "together",
        400,
        error("Unable to access model m. Please visit https://host.invalid/models for supported models."),
    ),
    ("together", 404, error("Unable to access model m.", code="model_not_available")),
    ("fireworks", 404, error("Model not found, inaccessible, and/or not deployed", code="NOT_FOUND")),
    (
        "cerebras",
        404,
        {"message": "Model m does not exist or you do not have access to it.", "code": "model_not_found"},
    ),
    ("perplexity", 400, error("Invalid model 'm'. Permitted models can be found in the documentation.", code=400)),
    ("cohere", 404, {"message": "model 'm' not found, make sure the correct model ID was used"}),
    ("moonshot", 404, error("Not found the model m or Permission denied", type="resource_not_found_error")),
    ("zai", 400, error("Unknown Model, please check the model code.", code="1211")),
    ("zai", 400, error("[1214][modelCode: does not exist][2026]", code="1214")),
    ("zai", 400, error("模型不存在，请检查模型代码。")),
    ("qwen", 404, error("The model `m` does not exist or you do not have access to it.", code="model_not_found")),
    ("qwen", 400, error("Model not exist.", code="InvalidParameter")),
    ("snowflake", 400, {"message": 'unknown model "m"', "request_id": "r"}),
    ("databricks", 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "The given endpoint does not exist."}),
    (
        "huggingface",
        400,
        error("The requested model 'm' is not supported by any provider.", code="model_not_supported"),
    ),
    ("ollama", 404, error("model 'm' not found, try pulling it first", type="api_error")),
    (
        "vllm",
        404,
        {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404},
    ),
    ("vllm", 400, error("/chat/completions: Invalid model name passed in model=m. Call `/v1/models`.", type="None")),
    ("vllm", 400, error({"error": "/chat/completions: Invalid model name passed in model=m."}, code="400")),
    ("vllm", 400, {"error": '{"error": {"message": "a/m:free is not a valid model ID", "code": 400}}'}),
    ("vllm", 503, error("No available channel for model m under group default", code="model_not_found")),
    ("vllm", 400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}),
    ("vllm", 400, {"message": "Invalid model. Please select a different model.", "reason": "INVALID_MODEL_ID"}),
    ("vllm", 422, {"detail": "Unsupported model: m"}),
    ("anthropic", 404, {"type": "error", "error": {"type": "not_found_error", "message": "model: m"}}),
    ("gemini", 404, error("models/m is not found for API version v1beta.", status="NOT_FOUND", code=404)),
    ("gemini", 400, error("GenerateContentRequest.model: unexpected model name format", status="INVALID_ARGUMENT")),
    ("vertex", 404, error("Publisher Model `projects/p/m` was not found.", status="NOT_FOUND", code=404)),
    ("bedrock", 400, {"__type": "ValidationException", "message": "The provided model identifier is invalid."}),
    (
        "bedrock",
        400,
        {
            "__type": "ValidationException",
            "message": "Invocation of model ID m with on-demand throughput isn\u2019t supported. Retry your request.",
        },
    ),
    ("bedrock", 404, {"__type": "ResourceNotFoundException", "message": "This model version has reached its end."}),
]


@pytest.mark.parametrize(("provider", "status", "body"), UNKNOWN)
def test_an_unknown_model_is_told_as_one(provider: str, status: int, body: Any) -> None:
    found = _registry.load(provider).parse_error(status, {}, body)
    assert (type(found), found.status, found.code) == (ProviderModelNotFound, 404, "model_not_found")
    assert is_deployment_fault(found)
    assert "answered with HTTP" not in found.message


def test_an_unknown_model_inside_a_200_is_told_as_one() -> None:
    found = _registry.load("vllm").parse_error(200, {}, error("no model m", code="model_not_found"))
    assert type(found) is ProviderModelNotFound


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("The model does not support the parameter 'top_k'.", param="top_k")),
        (400, error("Unknown parameter: 'model_settings'.", param="model_settings")),
        (400, error("Invalid model parameter: temperature must be below 2")),
        (400, error("This model is not supported with tools.")),
        (400, error("This model takes one image, but you passed 2.")),
        (400, error("Unsupported model feature: images")),
        (422, error("`response_format` is not valid", param="response_format")),
    ],
)
def test_a_field_that_the_model_refuses_is_not_an_unknown_model(status: int, body: Any) -> None:
    found = _registry.load("openai").parse_error(status, {}, body)
    assert isinstance(found, ProviderBadRequest)
