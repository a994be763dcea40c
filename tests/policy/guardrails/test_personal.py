import pytest

from tidegate.domain.guardrails import PERSONAL_ENTITIES
from tidegate.policy.guardrails import secrets
from tidegate.policy.guardrails.masking import mask_text


def clean(text: str) -> str:
    return mask_text(text, secrets.find_entities(PERSONAL_ENTITIES, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane.doe+news@mail.example.co.uk, please.", "Write to [EMAIL], please."),
        ("<mailto:o'neil@example.com>", "<mailto:[EMAIL]>"),
        ("'a@example.com'", "'[EMAIL]'"),
        ("a@example.com,b@example.org", "[EMAIL],[EMAIL]"),
        ("müller@bücher.example!", "[EMAIL]!"),
        ("x@xn--bcher-kva.example", "[EMAIL]"),
        ("Call +49 (0)30 1234567 now", "Call [PHONE] now"),
        ("+1-202-555-0143", "[PHONE]"),
        ("Tel. 0049 151 23456789.", "Tel. [PHONE]."),
        ("+442079460958", "[PHONE]"),
        ("(202) 555-0143 or 202-555-0143", "[PHONE] or [PHONE]"),
        ("01 23 45 67 89", "[PHONE]"),
        ("030/1234567 und (0221) - 12 34 56", "[PHONE] und [PHONE]"),
        ("020 7946 0958; 07700 900123", "[PHONE]; [PHONE]"),
        ("IBAN DE89 3704 0044 0532 0130 00 OK", "IBAN [IBAN] OK"),
        ("gb29nwbk60161331926819", "[IBAN]"),
        ("FR14 2004 1010 0505 0001 3M02 606.", "[IBAN]."),
        ("card 4111 1111 1111 1111, thanks", "card [CARD], thanks"),
        ("5500-0000-0000-0004", "[CARD]"),
        ("378282246310005 and 3782 822463 10005", "[CARD] and [CARD]"),
    ],
)
def test_personal_data_is_found(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "@handle, a @ b, me@localhost and 5@3",
        "git@github: see user@host",
        "On 2026-11-21 at 08:30:15, and on 01.02.2026 or 01/02/2026",
        "1763715600000 is a timestamp in milliseconds, 1763715600 in seconds",
        "Version 0.12.345, build 20261121",
        "192.168.100.200 and 10.0.0.1:8080",
        "ISBN 978-3-16-148410-0",
        "3.14159265358979323846",
        "DE89 3704 0044 0532 0130 01 has wrong check digits",
        "XX89 3704 0044 0532 0130 00 is of no country",
        "4111 1111 1111 1112 is no card",
        "Order 9111111111111111",
        "1,234,567,890 people; 12 345 678 euros; 100 000 000",
        "phone=12345678901",
        "GB is a country, AT20 is a road, and IT66 too",
        "550e8400-e29b-41d4-a716-446655440000",
        "0xdeadbeef 0123456789abcdef",
        "https://example.com/2026/11/21/0301234567",
        "f(x) = 2 - 3 + 4 * 5",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    ["@" * 200_000, "a" * 200_000 + "@", "+1" * 100_000, "1 " * 100_000, "+1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6x " * 6_000],
)
def test_no_text_takes_long(text: str) -> None:
    assert clean(text) == text
