import pytest

from tidegate.domain.guardrails import Finding
from tidegate.policy.guardrails import regexes
from tidegate.policy.guardrails.masking import mask_text

ENDLESS = r"(.*)*(.*)*x{20}y"


def test_patterns_are_found() -> None:
    text = "PRJ-1234 and prj-99"
    (found,) = regexes.find_patterns([r"\bPRJ-\d+", r"(?i)\bprj-9+"], [text])
    assert mask_text(text, found) == "[REDACTED] and [REDACTED]"


def test_a_pattern_that_backtracks_without_end_is_given_up() -> None:
    with pytest.raises(regexes.TooSlow):
        regexes.find_patterns([ENDLESS], ["x" * 300_000], seconds=0.01)


def test_so_is_one_that_is_only_looked_for() -> None:
    with pytest.raises(regexes.TooSlow):
        regexes.matches(ENDLESS, "x" * 300_000, seconds=0.01)


def test_all_patterns_and_texts_share_the_time() -> None:
    with pytest.raises(regexes.TooSlow):
        regexes.find_patterns(["a", "b"], ["text"], seconds=0.0)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "'(' does not close a group."),
        ("[", "'[' is not a valid regular expression: "),
        ("a*", "'a*' matches an empty text: it would match everywhere."),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"regular|empty|group") as caught:
        regexes.check_pattern(pattern)
    assert str(caught.value).startswith(said)


def test_findings_that_overlap_are_one() -> None:
    found = [Finding(4, 6, "[B]"), Finding(0, 3, "[A]"), Finding(2, 5, "[C]"), Finding(1, 1, "[D]")]
    assert mask_text("0123456789", found) == "[A]6789"
    assert mask_text("0123456789", []) == "0123456789"
