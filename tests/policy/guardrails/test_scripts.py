import pytest

from tidegate.policy.guardrails import scripts


@pytest.mark.parametrize(
    ("allowed", "text", "expected"),
    [
        (("Latin",), "Grüße aus Köln, 2026! 🙂", True),
        (("Latin",), "Привет, мир", False),
        (("Latin",), "The letter Ж is Cyrillic, and easy to draw.", True),
        (("Latin", "Cyrillic"), "Hello, мир", True),
        (("Han", "Hiragana", "Katakana"), "これは秘密のデータです。", True),
        (("Han",), "これはひらがなです", False),
        (("Greek",), "", True),
        (("Greek",), "123 + 456", True),
        (("Latin",), "раypаl раypаl", False),
    ],
)
def test_a_text_is_of_the_scripts_of_its_letters(allowed: tuple[str, ...], text: str, expected: bool) -> None:
    assert scripts.is_written_in(allowed, text) is expected


@pytest.mark.parametrize("name", ["Klingon", "", "Latin}", "L"])
def test_a_script_that_unicode_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a Unicode script"):
        scripts.check_scripts(["Latin", name])
