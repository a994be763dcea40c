import pytest

from tidegate.domain.guardrails import SECRET_ENTITIES
from tidegate.policy.guardrails import secrets
from tidegate.policy.guardrails.masking import mask_text

BODY = "0123456789abcdefABCDEF"
"""Stands for what is random in a key; joined at run time, so that no key's shape stands in this file."""


def clean(text: str) -> str:
    return mask_text(text, secrets.find_entities(SECRET_ENTITIES, text))


def block(kind: str, content: str = "bm90IGEga2V5") -> str:
    return f"-----{'BEGIN'} {kind}-----\n{content}\n-----{'END'} {kind}-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key: {'sk-'}{BODY}.", "key: [OPENAI_KEY]."),
        (f"{'sk-'}proj-{BODY}_{BODY}", "[OPENAI_KEY]"),
        (f"{'sk-'}svcacct-{BODY}", "[OPENAI_KEY]"),
        (f"{'sk-'}ant-api03-{BODY}-{BODY}", "[ANTHROPIC_KEY]"),
        (f"id={'AKIA'}ABCDEFGHIJ234567 ok", "id=[AWS_KEY] ok"),
        (f"{'ASIA'}ABCDEFGHIJ234567", "[AWS_KEY]"),
        (f'AWS_SECRET_ACCESS_KEY="{"a1B/" * 10}"', '[AWS_KEY]"'),
        (f"{'AIza'}{BODY}{BODY[:13]}", "[GOOGLE_KEY]"),
        (f"{'ghp_'}{BODY}{BODY}", "[GITHUB_TOKEN]"),
        (f"{'github_pat_'}{BODY}_{BODY}", "[GITHUB_TOKEN]"),
        (f"{'xoxb'}-123456789012-abcDEF", "[SLACK_TOKEN]"),
        (f"{'xapp'}-1-A0B1C2D3E4-55-ff", "[SLACK_TOKEN]"),
        (f"Bearer {'eyJ'}hbGciOiJub25lIn0.{'eyJ'}zdWIiOiJ0ZXN0In0.{BODY}", "Bearer [JWT]"),
        (f"a {block('PRIVATE KEY')} b", "a [PRIVATE_KEY] b"),
        (block("RSA PRIVATE KEY"), "[PRIVATE_KEY]"),
        (block("PGP PRIVATE KEY BLOCK"), "[PRIVATE_KEY]"),
        (f"{block('EC PRIVATE KEY')}\n{block('OPENSSH PRIVATE KEY')}", "[PRIVATE_KEY]\n[PRIVATE_KEY]"),
        (f"-----{'BEGIN'} PRIVATE KEY-----\nbm90", "[PRIVATE_KEY]"),
    ],
)
def test_credentials_are_found(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "risk-averse, task-oriented and desk-based people",
        "sk-ip this; class=sk-circle-animation-of-spinners",
        "Set OPENAI_API_KEY to sk-... and never commit it.",
        "AKIA is a prefix, AIza another, and so are ghp_ and xoxb-",
        "eyJ begins a token; so do eyJhbGci and eyJ.eyJ",
        block("CERTIFICATE"),
        block("PUBLIC KEY"),
        "aws_secret_access_key = $SECRET",
    ],
)
def test_words_about_credentials_are_left_alone(text: str) -> None:
    assert clean(text) == text
