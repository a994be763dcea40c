"""One search of joined texts finds something wherever a search of each text does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.guardrails import Guardrail
from tidegate.policy.guardrails.detectors import SEPARATOR, find_in_texts, joint_search

_LISTED = ("acme", "top secret", "Straße", "e-mail", "秘密")
_GUARDRAILS = (
    Guardrail("secrets", "secrets"),
    Guardrail("personal", "personal"),
    Guardrail("few", "words", words=_LISTED),
    Guardrail("many", "words", words=(*_LISTED, "one", "two", "three", "four", "five", "six")),
)
_PIECES = [
    *("a@b.co", "@", "me", "4111 1111 1111 1111", "4111 ", "1111", "+49 170 1234567", "030/1234567", "555-010-0199"),
    *("DE89 3704 0044 0532 0130 00", "DE89", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    *(
        "sk-",
        "ant-",
        "a1" * 12,
        "xox" + "b-",
        "1234567890",
        "eyJabcdefgh",
        "0",
        " ",
        ".",
        "-",
        "/",
        "=",
        "+",
        "(",
        "\n",
    ),
    *("Acme", "top", " secret", "STRASSE", "e-", "mail", "秘", "密", "é", "\u0301", "\u200b", SEPARATOR),
]
_TEXTS = st.lists(st.lists(st.sampled_from(_PIECES), max_size=4).map("".join), min_size=1, max_size=4)


@pytest.mark.parametrize("guardrail", _GUARDRAILS, ids=lambda guardrail: guardrail.name)
@given(texts=_TEXTS)
async def test_joined_texts_hide_no_finding(guardrail: Guardrail, texts: list[str]) -> None:
    search = joint_search([guardrail])
    assert search is not None
    alone = [(await find_in_texts(guardrail, [text]))[0] for text in texts]
    assert await find_in_texts(guardrail, texts) == alone
    assert search(SEPARATOR.join(texts)) or not any(alone)


def test_a_guardrail_that_reads_more_than_texts_has_no_joint_search() -> None:
    pattern = Guardrail("pattern", "regex", patterns=("x",))
    assert joint_search([_GUARDRAILS[0], pattern]) is None
