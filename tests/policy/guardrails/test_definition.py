from typing import Any

import pytest

from tidegate.domain.guardrails import Guardrail
from tidegate.errors import InvalidRequest
from tidegate.policy.guardrails.definition import guardrail_to_json, parse_guardrails

WRITTEN: list[dict[str, Any]] = [
    {"name": "codes", "kind": "regex", "patterns": [r"PRJ-\d+"], "action": "mask", "on": "output", "stream": "window"},
    {"name": "names", "kind": "words", "words": ["Acme", "top secret", "秘密"], "window_characters": 64},
    {"name": "keys", "kind": "secrets", "entities": ["JWT", "EMAIL"], "always": True, "stream": "buffer"},
    {"name": "pii", "kind": "personal"},
    {"name": "injection", "kind": "injection"},
    {"name": "length", "kind": "max_input", "max_tokens": 100, "max_characters": 1000},
    {"name": "shape", "kind": "json_schema", "schema": {"type": "object"}},
    {"name": "latin", "kind": "scripts", "scripts": ["Latin"], "on": "input"},
    {
        "name": "aws",
        "kind": "bedrock",
        "guardrail_id": "abc123",
        "guardrail_version": "2",
        "region": "eu-central-1",
        "fails": "open",
    },
    {"name": "hook", "kind": "webhook", "url": "https://hook.example/check?a=1", "timeout_seconds": 1.5},
]


def test_what_is_written_becomes_guardrails() -> None:
    assert parse_guardrails(WRITTEN[:1]) == (
        Guardrail("codes", "regex", "output", "mask", "window", patterns=(r"PRJ-\d+",)),
    )
    made = {guardrail.name: guardrail for guardrail in parse_guardrails(WRITTEN)}
    assert [made[name].on for name in ("injection", "length", "shape", "pii")] == ["input", "input", "output", "both"]
    assert made["shape"].schema == '{"type":"object"}'


def test_what_is_shown_can_be_written_again() -> None:
    made = parse_guardrails(WRITTEN)
    again = [guardrail_to_json(guardrail) for guardrail in made]
    assert parse_guardrails(list(again)) == made
    assert again[2] == {**WRITTEN[2], "on": "both"}
    assert again[6] == {**WRITTEN[6], "on": "output"}


def test_an_operators_webhook_may_be_at_home_and_have_a_secret() -> None:
    written = {"name": "hook", "kind": "webhook", "url": "http://10.0.0.7:8080/check", "secret": "HOOK_TOKEN"}
    (made,) = parse_guardrails([written], is_operator=True)
    assert (made.url, made.secret) == ("http://10.0.0.7:8080/check", "HOOK_TOKEN")


def written(kind: str, **fields: Any) -> list[Any]:
    return [{"name": "g", "kind": kind, **fields}]


HOOK = "https://hook.example"


@pytest.mark.parametrize(
    ("listed", "param"),
    [
        ({}, "guardrails"),
        ([1], "guardrails[0]"),
        ([{"name": f"g{i}", "kind": "injection"} for i in range(51)], "guardrails"),
        (written("words", words=["x" * 70_000]), "guardrails"),
        ([{"name": "g"}], "guardrails[0].kind"),
        (written("magic"), "guardrails[0].kind"),
        ([{"kind": "secrets"}], "guardrails[0]"),
        ([*written("secrets"), *written("personal")], "guardrails[1].name"),
        ([{"name": "G g", "kind": "secrets"}], "guardrails[0].name"),
        ([{"name": "secrets", "kind": "secrets"}], "guardrails[0].name"),
        (written("secrets", words=["a"]), "guardrails[0].words"),
        (written("secrets", on="never"), "guardrails[0].on"),
        (written("secrets", always="yes"), "guardrails[0].always"),
        (written("secrets", fails=None), "guardrails[0].fails"),
        (written("secrets", entities=["NAME"]), "guardrails[0].entities[0]"),
        (written("secrets", window_characters=63), "guardrails[0].window_characters"),
        (written("secrets", window_characters=9000), "guardrails[0].window_characters"),
        (written("regex"), "guardrails[0].patterns"),
        (written("regex", patterns=["a"] * 51), "guardrails[0].patterns"),
        (written("regex", patterns=["a", "("]), "guardrails[0].patterns[1]"),
        (written("regex", patterns=["a*"]), "guardrails[0].patterns[0]"),
        (written("regex", patterns=["a" * 501]), "guardrails[0].patterns[0]"),
        (written("words"), "guardrails[0].words"),
        (written("words", words=["a", "C++"]), "guardrails[0].words[1]"),
        (written("words", words=["a" * 101]), "guardrails[0].words[0]"),
        (written("injection", on="output"), "guardrails[0].on"),
        (written("injection", action="mask"), "guardrails[0].action"),
        (written("injection", stream="window"), "guardrails[0].stream"),
        (written("max_input"), "guardrails[0].max_tokens"),
        (written("max_input", max_tokens=0), "guardrails[0].max_tokens"),
        (written("max_input", max_characters=1.5), "guardrails[0].max_characters"),
        (written("max_input", max_characters=1, on="both"), "guardrails[0].on"),
        (written("json_schema", schema={"type": "text"}), "guardrails[0].schema"),
        (written("json_schema", schema="{"), "guardrails[0].schema"),
        (written("json_schema", schema=1), "guardrails[0].schema"),
        (written("json_schema", schema={}, on="input"), "guardrails[0].on"),
        (written("scripts"), "guardrails[0].scripts"),
        (written("scripts", scripts=["Klingon"]), "guardrails[0].scripts"),
        (written("bedrock"), "guardrails[0].guardrail_id"),
        (written("bedrock", guardrail_id="a/../b"), "guardrails[0].guardrail_id"),
        (written("bedrock", guardrail_id="a", guardrail_version="0"), "guardrails[0].guardrail_version"),
        (written("bedrock", guardrail_id="a", region="evil.example/"), "guardrails[0].region"),
        (written("webhook"), "guardrails[0].url"),
        (written("webhook", url="http://hook.example"), "guardrails[0].url"),
        (written("webhook", url="https://user:word@hook.example"), "guardrails[0].url"),
        (written("webhook", url="https://hook.example/" + "a" * 2048), "guardrails[0].url"),
        (written("webhook", url=HOOK, secret="OPENAI_API_KEY"), "guardrails[0].secret"),
        (written("webhook", url=HOOK, timeout_seconds=31), "guardrails[0].timeout_seconds"),
        (written("webhook", url=HOOK, timeout_seconds=0), "guardrails[0].timeout_seconds"),
        (written("webhook", url=HOOK, action="drop"), "guardrails[0].action"),
    ],
)
def test_a_fault_names_its_field(listed: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_guardrails(listed)
    assert caught.value.param == param


def test_where_they_are_written_is_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_guardrails(written("secrets", on=1), "TIDEGATE_GUARDRAILS", is_operator=True)
    assert caught.value.message == ("Invalid value for 'TIDEGATE_GUARDRAILS[0].on': Expected `str`, got `int`.")
