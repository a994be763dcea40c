"""Embeddings at each provider: what is sent and what is read of replies, in bodies invented after the documents."""

import json
from typing import Any

import pytest

from tests.providers.calls import operation_call
from tidegate.catalog import load_catalog
from tidegate.domain.deployment import Deployment
from tidegate.embeddings.operation import EMBEDDINGS
from tidegate.errors import InvalidRequest, OperationNotSupported, ProviderBadRequest, ProviderMalformed
from tidegate.providers import Registry
from tidegate.providers.base import KeyAuth, SigV4Auth, Translator, UpstreamRequest
from tidegate.providers.compatible_row import Row
from tidegate.providers.embeddings.registry import PROVIDERS

BASE = "https://host.invalid/v1"
REGISTRY = Registry()


def translator(provider: str) -> Translator:
    return REGISTRY.translator(provider, "embeddings")


def build(model_id: str, base_url: str = BASE, secret: str | None = "KEY", **fields: Any) -> UpstreamRequest:
    provider, _, model = model_id.partition("/")
    call = operation_call(EMBEDDINGS, {"model": model_id, "input": ["tide", "gate"], **fields})
    deployment = Deployment(provider, model, base_url, secret, region="eu-central-1")
    return translator(provider).build_request(call, deployment)


def sent(request: UpstreamRequest) -> list[tuple[str, Any]]:
    further = request.further.requests if request.further else ()
    return [(each.url, json.loads(each.body)) for each in (request, *further)]


FLOATS = {"encoding_format": "float"}
OPENAI_BODY = {"model": "m", "input": ["tide", "gate"], **FLOATS}
EVERYTHING: dict[str, Any] = {"dimensions": 8, "user": "u", "input_type": "query", "encoding_format": "base64"}


@pytest.mark.parametrize(
    ("model", "fields", "body", "ignored"),
    [
        ("openai/m", {}, OPENAI_BODY, ()),
        (
            "openai/m",
            EVERYTHING,
            {**OPENAI_BODY, "dimensions": 8, "user": "u", "encoding_format": "base64"},
            ("input_type",),
        ),
        ("openai/m", {"input": [[1, 2], [3]]}, {**OPENAI_BODY, "input": [[1, 2], [3]]}, ()),
        (
            "mistral/m",
            EVERYTHING,
            {"model": "m", "input": ["tide", "gate"], "output_dimension": 8},
            ("user", "input_type"),
        ),
        (
            "voyage/m",
            {**EVERYTHING, "truncation": False},
            {
                **OPENAI_BODY,
                "encoding_format": "base64",
                "output_dimension": 8,
                "input_type": "query",
                "truncation": False,
            },
            ("user",),
        ),
        (
            "jina/m",
            {"input_type": "search_document", "dimensions": 8, "late_chunking": True},
            {
                "model": "m",
                "input": ["tide", "gate"],
                "dimensions": 8,
                "task": "retrieval.passage",
                "late_chunking": True,
            },
            (),
        ),
        (
            "nvidia/m",
            {"input_type": "document", "truncate": "END"},
            {**OPENAI_BODY, "input_type": "passage", "truncate": "END"},
            (),
        ),
        (
            "openrouter/a/m",
            {"input_type": "RETRIEVAL_QUERY", "provider": {"order": ["x"]}},
            {**OPENAI_BODY, "model": "a/m", "input_type": "search_query"},
            ("provider",),
        ),
        ("together/m", {"dimensions": 8}, {"model": "m", "input": ["tide", "gate"]}, ("dimensions",)),
        ("vllm/m", {"truncate_prompt_tokens": 5}, {**OPENAI_BODY, "truncate_prompt_tokens": 5}, ()),
        ("ollama/m", {"keep_alive": "5m"}, {"model": "m", "input": ["tide", "gate"], "keep_alive": "5m"}, ()),
    ],
)
def test_openais_dialect_is_sent_with_the_quirks_of_each(
    model: str, fields: dict[str, Any], body: dict[str, Any], ignored: tuple[str, ...]
) -> None:
    request = build(model, **fields)
    assert sent(request) == [(f"{BASE}/embeddings", body)]
    assert request.ignored == ignored


def test_azure_has_the_model_in_the_path_or_in_the_body() -> None:
    ((url, body),) = sent(build("azure/my-embed", "https://my.openai.azure.com"))
    assert url == "https://my.openai.azure.com/openai/deployments/my-embed/embeddings?api-version=2024-10-21"
    assert body["model"] == "my-embed"
    assert build("azure/my-embed", "https://my.openai.azure.com").auth == KeyAuth("api-key", "")
    assert build("azure/m", "https://my.openai.azure.com/openai/v1").url.endswith("/openai/v1/embeddings")


def test_coheres_body_has_the_purpose_that_its_models_need() -> None:
    body = {
        "model": "embed-v4.0",
        "texts": ["tide", "gate"],
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    assert sent(build("cohere/embed-v4.0", "https://api.cohere.com")) == [("https://api.cohere.com/v2/embed", body)]
    request = build("cohere/embed-v4.0", "https://api.cohere.com", **EVERYTHING, truncate="END")
    assert sent(request)[0][1] == {**body, "input_type": "search_query", "output_dimension": 8, "truncate": "END"}
    assert request.ignored == ("user",)


def test_gemini_gets_a_request_for_each_text() -> None:
    request = build("gemini/gemini-embedding-001", "https://g.invalid", **EVERYTHING)
    common = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}
    body = {"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in ("tide", "gate")]}
    assert sent(request) == [("https://g.invalid/v1beta/models/gemini-embedding-001:batchEmbedContents", body)]
    assert (request.auth, request.ignored) == (KeyAuth("x-goog-api-key", ""), ("user",))


def test_vertex_predicts_or_embeds_one_text_at_a_time() -> None:
    base = "https://v.invalid/v1/projects/p/locations/l"
    request = build("vertex/text-embedding-005", base, dimensions=8, task_type="clustering")
    path = f"{base}/publishers/google/models"
    body = {
        "instances": [{"content": text, "task_type": "CLUSTERING"} for text in ("tide", "gate")],
        "parameters": {"outputDimensionality": 8},
    }
    assert sent(request) == [(f"{path}/text-embedding-005:predict", body)]
    assert sent(build("vertex/gemini-embedding-001", base)) == [
        (f"{path}/gemini-embedding-001:predict", {"instances": [{"content": text}]}) for text in ("tide", "gate")
    ]
    assert sent(build("vertex/gemini-embedding-2", base, dimensions=8)) == [
        (
            f"{path}/gemini-embedding-2:embedContent",
            {"content": {"parts": [{"text": text}]}, "embedContentConfig": {"outputDimensionality": 8}},
        )
        for text in ("tide", "gate")
    ]


def test_bedrock_gets_the_body_of_the_models_maker() -> None:
    base = "https://b.invalid"
    titan = build("bedrock/amazon.titan-embed-text-v2:0", base, None, dimensions=256, normalize=True)
    assert sent(titan) == [
        (
            f"{base}/model/amazon.titan-embed-text-v2%3A0/invoke",
            {"inputText": text, "dimensions": 256, "normalize": True},
        )
        for text in ("tide", "gate")
    ]
    assert titan.auth == SigV4Auth("bedrock", "eu-central-1")
    cohere = build("bedrock/cohere.embed-english-v3", base)
    body = {"texts": ["tide", "gate"], "input_type": "search_document", "embedding_types": ["float"]}
    assert (sent(cohere), cohere.auth) == ([(f"{base}/model/cohere.embed-english-v3/invoke", body)], KeyAuth())
    nova = build("bedrock/amazon.nova-2-multimodal-embeddings-v1:0", base, input="tide", input_type="query")
    assert sent(nova)[0][1] == {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_RETRIEVAL",
            "text": {"truncationMode": "NONE", "value": "tide"},
        },
    }


OPENAI_REPLY = {
    "data": [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [0.5, 0.25]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
GOOGLE = [{"values": [0.5, 0.25]}, {"values": [0.0, 1.0]}]


@pytest.mark.parametrize(
    ("model", "body", "tokens"),
    [
        ("openai/m", OPENAI_REPLY, 7),
        ("voyage/m", {**OPENAI_REPLY, "usage": {"total_tokens": 7}}, 7),
        ("ollama/m", {"data": [{"embedding": [0.5, 0.25]}, {"embedding": [0.0, 1.0]}]}, None),
        ("vllm/m", {"data": [{"embedding": "AAAAPwAAgD4="}, {"embedding": "AAAAAAAAgD8="}]}, None),
        (
            "cohere/m",
            {"embeddings": {"float": [[0.5, 0.25], [0.0, 1.0]]}, "meta": {"billed_units": {"input_tokens": 7}}},
            7,
        ),
        ("bedrock/cohere.embed-english-v3", {"embeddings": [[0.5, 0.25], [0.0, 1.0]]}, None),
        ("gemini/m", {"embeddings": GOOGLE, "usageMetadata": {"promptTokenCount": 7}}, 7),
        ("gemini/m", {"embeddings": GOOGLE}, None),
        (
            "vertex/text-embedding-005",
            {"predictions": [{"embeddings": {**each, "statistics": {"token_count": 3.0}}} for each in GOOGLE]},
            6,
        ),
    ],
)
def test_a_reply_has_the_vectors_in_order_and_the_tokens(model: str, body: dict[str, Any], tokens: int | None) -> None:
    reply = translator(model.partition("/")[0]).parse_reply(build(model), body)
    assert reply == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]},
            {"object": "embedding", "index": 1, "embedding": [0.0, 1.0]},
        ],
        "usage": None if tokens is None else {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
    }


def test_perplexitys_signed_bytes_are_numbers() -> None:
    request = build(
        "perplexity/pplx-embed-v1-4b", "https://api.perplexity.ai", dimensions=128, encoding_format="base64"
    )
    body = {"model": "pplx-embed-v1-4b", "input": ["tide", "gate"], "dimensions": 128}
    assert sent(request) == [("https://api.perplexity.ai/v1/embeddings", body)]
    read: Any = translator("perplexity").parse_reply(
        build("perplexity/m"), {"data": [{"index": 0, "embedding": "AX+A/w=="}, {"index": 1, "embedding": "AAAAAA=="}]}
    )
    assert [each["embedding"] for each in read["data"]] == [[1, 127, -128, -1], [0, 0, 0, 0]]
    with pytest.raises(ProviderMalformed, match="base64"):
        translator("perplexity").parse_reply(
            build("perplexity/m"), {"data": [{"embedding": "?"}, {"embedding": "AA=="}]}
        )


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("bedrock/amazon.titan-embed-text-v2:0", {"embedding": [0.5, 0.25], "inputTextTokenCount": 3}),
        ("vertex/gemini-embedding-2", {"embedding": GOOGLE[0], "usageMetadata": {"promptTokenCount": 3}}),
    ],
)
def test_replies_to_several_requests_become_one(model: str, body: dict[str, Any]) -> None:
    request = build(model, encoding_format="base64")
    assert request.further is not None
    (other,) = request.further.requests
    replies = [translator(model.partition("/")[0]).parse_reply(each, body) for each in (request, other)]
    joined: Any = request.further.join(replies)
    assert [(entry["index"], entry["embedding"]) for entry in joined["data"]] == [
        (0, "AAAAPwAAgD4="),
        (1, "AAAAPwAAgD4="),
    ]
    assert joined["usage"] == {"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 6}
    without: Any = request.further.join([replies[0], {**replies[1], "usage": None}])
    assert without["usage"] is None


@pytest.mark.parametrize(
    ("model", "count", "parts"),
    [
        ("openai/m", 4096, [2048, 2048]),
        ("cohere/m", 200, [96, 96, 8]),
        ("gemini/m", 150, [100, 50]),
        ("qwen/m", 25, [10, 10, 5]),
        ("together/m", 4096, [4096]),
        ("bedrock/amazon.titan-embed-text-v1", 3, [1, 1, 1]),
        ("vertex/text-embedding-005", 300, [250, 50]),
    ],
)
def test_a_list_is_split_at_the_limit_of_the_provider(model: str, count: int, parts: list[int]) -> None:
    request = build(model, input=["tide"] * count)
    further = request.further.requests if request.further else ()
    expected: list[Any] = [each.notes for each in (request, *further)]
    assert [each.inputs for each in expected] == parts


def test_a_list_is_split_at_the_tokens_that_a_request_takes() -> None:
    long = "tide gate " * 5_000
    bodies = [body["input"] for _, body in sent(build("mistral/mistral-embed", input=[long, long, "a", "b"]))]
    assert bodies == [[long], [long, "a", "b"]]


def test_a_call_has_a_limit_of_requests() -> None:
    with pytest.raises(InvalidRequest, match="takes 1 of the inputs in a request") as raised:
        build("bedrock/amazon.titan-embed-text-v1", input=["tide"] * 600)
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    "model", ["mistral/m", "cohere/m", "gemini/m", "vertex/m", "bedrock/amazon.titan-embed-text-v1"]
)
def test_tokens_are_refused_where_they_mean_something_else(model: str) -> None:
    with pytest.raises(InvalidRequest, match="takes texts, not tokens") as raised:
        build(model, input=[[1, 2]])
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"data": None},
        {"data": []},
        {"data": [{"embedding": [1.0]}]},
        {"data": [{"embedding": [1.0]}, {"embedding": None}]},
        {"data": [{"embedding": [1.0]}, {}]},
        {"data": [{"embedding": [1.0]}, 5]},
        {"data": [{"embedding": "%%"}, {"embedding": "%%"}]},
    ],
)
def test_a_reply_that_cannot_be_read_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        translator("openai").parse_reply(build("openai/m"), body)


def test_an_error_inside_a_200_is_an_error() -> None:
    with pytest.raises(ProviderBadRequest, match="too long"):
        translator("openai").parse_reply(build("openai/m"), {"error": {"message": "too long"}})


def test_a_provider_without_embeddings_names_those_that_have_them() -> None:
    with pytest.raises(OperationNotSupported) as raised:
        translator("anthropic")
    assert raised.value.param == "model"
    assert "'anthropic' has no embeddings. These have: azure, bedrock, cohere" in raised.value.message


def test_a_provider_for_embeddings_alone_does_not_chat() -> None:
    with pytest.raises(OperationNotSupported, match="no chat"):
        REGISTRY.translator("voyage", "chat")


def test_the_operators_own_server_gets_what_the_caller_sent() -> None:
    registry = Registry([Row("mine", BASE)])
    body = {"model": "mine/m", "input": [1, 2], "pooling": "mean", "encoding_format": "base64"}
    built = registry.translator("mine", "embeddings").build_request(
        operation_call(EMBEDDINGS, body), Deployment("mine", "m", BASE, None)
    )
    assert sent(built) == [(f"{BASE}/embeddings", {"model": "m", "input": [[1, 2]], "pooling": "mean"})]


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_in_the_table_has_a_translator(name: str) -> None:
    assert translator(name).name == name


def test_the_catalogue_has_prices_of_embeddings() -> None:
    rows = [row for row in load_catalog() if "embeddings" in row.outputs]
    assert len(rows) > 40
    assert all(row.prices and None not in (row.prices[0].input, row.prices[0].output) for row in rows)
