"""A plain request goes out as it does when its fields are looked at one by one."""

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from tests.providers.calls import call
from tidegate import catalog
from tidegate.chat.request import ChatCall, parse_chat_request
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Operation
from tidegate.domain.origin import Origin
from tidegate.errors import InvalidRequest
from tidegate.json import decode, encode_canonical
from tidegate.providers import Registry
from tidegate.providers.base import Translator
from tidegate.providers.compatible import ROWS
from tidegate.providers.openai.request import build_plain, plain_model

USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "hello"}
SYSTEM = {"role": "system", "content": "be kind"}
HOST = "https://host.invalid/v1"

REGISTRY = Registry()
PROVIDERS = sorted(spec.name for spec in REGISTRY.specs() if spec.chats)
CHAT: Operation = call({"model": "m", "messages": [USER]}).operation

FIELDS: dict[str, list[Any]] = {
    "stream": [True, False],
    "stream_options": [{}, {"include_usage": False}, {"include_usage": True, "include_obfuscation": False}],
    "temperature": [0, 1, 0.5, 1.0],
    "top_p": [1, 0.1],
    "n": [1, 3],
    "max_tokens": [1, 100],
    "max_completion_tokens": [200],
    "stop": ["a", ["a", "b"], []],
    "seed": [0, -(2**63)],
    "presence_penalty": [0, -2],
    "frequency_penalty": [0, 0.25],
    "user": ["someone", "a@b.de", ""],
}
BODIES: list[dict[str, Any]] = [
    {},
    {"stream": True},
    *({name: value} for name, values in FIELDS.items() for value in values),
    {"stream": True, "stream_options": {"include_usage": False}, "max_tokens": 5, "temperature": 0.2},
    {"max_completion_tokens": 5, "max_tokens": 7, "seed": 1},
    {"messages": [SYSTEM, USER, ASSISTANT]},
    {"messages": [USER, ASSISTANT, USER], "user": "x"},
]


@cache
def plain_call(body: str) -> ChatCall:
    plain = parse_chat_request(body.encode())
    assert plain.is_plain
    return replace(call({"model": "m", "messages": [USER]}), request=plain)


def general(plain: ChatCall, body: str) -> ChatCall:
    request = replace(plain.request, is_plain=False, plain=None, converted_body=json.loads(body))
    return replace(plain, request=request)


@cache
def models(provider: str) -> list[str]:
    """A model of no known kind, and those of the catalogue: rules go by names."""
    catalogued = "openai" if provider == "azure" else provider
    ids = (model_id.partition("/") for model_id in catalog.load_catalog().ids())
    return ["m", "some/model", *(name for owner, _, name in ids if owner == catalogued)]


def request_fields(
    translator: Translator, call: ChatCall, deployment: Deployment
) -> dict[str, Any] | tuple[str, str | None]:
    """Return the fields of the request without `parse_plain`, or the message and the parameter of its error.

    The order of names in its body is free.
    """
    try:
        request = translator.build_request(call, deployment)
    except InvalidRequest as error:
        return error.message, error.param
    fields = {name: value for name, value in structs.asdict(request).items() if name != "parse_plain"}
    return fields | {"body": encode_canonical(decode(request.body))}


def check(translator: Translator, body: str, deployment: Deployment) -> None:
    call = plain_call(body)
    expected = general(call, body)
    assert request_fields(translator, call, deployment) == request_fields(translator, expected, deployment)
    assert translator.signs_reasoning(call, deployment) == translator.signs_reasoning(expected, deployment)
    assert translator.media_urls(expected, deployment) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_model_gets_a_plain_request_as_any_other(provider: str) -> None:
    translator = REGISTRY.translator(provider, CHAT.name)
    for model in models(provider):
        deployment = Deployment(provider, model, HOST, region="eu-central-1")
        for fields in BODIES:
            body = json.dumps({"model": f"{provider}/{model}", "messages": [USER], **fields})
            check(translator, body, deployment)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PROVIDERS).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(models(name)))),
    st.lists(st.sampled_from([USER, ASSISTANT, SYSTEM, {"content": "é\n", "role": "user"}]), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 3), max_size=6),
    st.randoms(use_true_random=False),
)
def test_any_fields_in_any_order_go_out_as_they_do_one_by_one(
    target: tuple[str, str], messages: list[Any], chosen: dict[str, int], random: Any
) -> None:
    provider, model = target
    fields = {name: FIELDS[name][i % len(FIELDS[name])] for name, i in chosen.items()}
    pairs = [*{"model": "x", "messages": messages, **fields}.items()]
    random.shuffle(pairs)
    deployment = Deployment(provider, model, HOST, region="eu-central-1")
    check(REGISTRY.translator(provider, CHAT.name), json.dumps(dict(pairs)), deployment)


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_every_provider_of_the_dialect_takes_plain_texts_as_they_came(provider: str) -> None:
    plain = plain_call(json.dumps({"model": "m", "messages": [SYSTEM, USER]})).request.plain
    assert plain is not None
    assert build_plain(plain, plain_model("m", ROWS[provider].quirks)) is not None


def test_a_request_of_another_dialect_is_checked_for_what_its_translation_lost() -> None:
    plain = plain_call(json.dumps({"model": "m", "messages": [USER]}))
    origin = Origin("messages", None, refusals={"x": "it is not known"})
    call = replace(plain, request=replace(plain.request, origin=origin))
    with pytest.raises(InvalidRequest, match="cannot take x"):
        REGISTRY.translator("openai", CHAT.name).build_request(call, Deployment("openai", "m", HOST))


def test_rows_of_one_name_do_not_share_what_is_known_of_their_models() -> None:
    plain, deployment = (
        plain_call(json.dumps({"model": "m", "messages": [USER], "seed": 1})),
        Deployment("mine", "m", HOST),
    )
    row = replace(ROWS["openai"], name="mine")
    strict = replace(row, quirks=replace(row.quirks, unsupported=frozenset({"seed"})))
    for each, ignored in ((row, ()), (strict, ("seed",))):
        translator = Registry([each]).translator("mine", CHAT.name)
        assert translator.build_request(plain, deployment).ignored == ignored
