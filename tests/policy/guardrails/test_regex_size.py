import pytest

from tidegate.policy.guardrails import regex_size, regexes


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("", 0),
        ("abc", 3),
        ("a{1000}", 1000),
        ("a{2,}b{,5}", 3),
        ("(a{10}){10}", 110),
        ("((ab){100}){100}", 30_100),
        (r"\d{3}-\d{4}", 8),
        (r"\p{Script=Latin}{20}", 20),
        (r"\N{LEFT PARENTHESIS}{3}", 3),
        (r"\\{4}", 4),
        (r"\({4}", 4),
        ("[a(]{5}", 5),
        ("[]a]{5}", 5),
        ("[^]a]{5}", 5),
        (r"[\]a]{5}", 5),
        ("(x[[:alpha:](]){5}", 15),
        ("(?P<name>a|b){2}", 24),
        ("a{e<=1}", 7),
    ],
)
def test_repeats_multiply_what_they_repeat(pattern: str, parts: int) -> None:
    assert regex_size.compiled_size(pattern) == parts


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a{99999999}", "too large when compiled"),
        ("((a{1000}){1000}){1000}", "too large when compiled"),
        ("(?:(?:a{1000}b?){1000}c?){1000}", "too large when compiled"),
        ("(?x)(?:a{1000}#(\n){1000}", "flags"),
        ("(?i-x:a)", "flags"),
        ("(?V1)[a[b]]", "flags"),
        ("(?if)ß", "flags"),
        ("(?r)a", "flags"),
        ("(?:a{1000}(?#()){1000}", "comments"),
        ("(?:a{1000}[[](]){1000}", "set inside a set"),
        ("a" * 501, "more than 500"),
        ("a)", "not open"),
        ("(a", "does not close a group"),
        ("[a", "not a valid regular expression"),
    ],
)
def test_what_becomes_too_large_or_cannot_be_counted_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        regexes.compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        r"(?i)\b(?:acme|example)(?:\s+(?:corp|inc)\.?)?\b",
        r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$",
        r"(?<!\w)\d{3}[ -]?\d{2}[ -]?\d{4}(?!\w)",
        r"(?P<quote>['\"]).*?(?P=quote)",
        r"\p{Lu}\p{Ll}+",
        "(?s:BEGIN.{0,1000}END)",
    ],
)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    regexes.compile_pattern(pattern)
