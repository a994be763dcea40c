"""Finds positions in texts, for the kinds of guardrail that can name them: words, regex, secrets and personal data."""

from collections.abc import Sequence
from functools import lru_cache, partial

from tidegate.domain.guardrails import PERSONAL_ENTITIES, SECRET_ENTITIES, Finding, Guardrail
from tidegate.errors import GuardrailUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.policy.guardrails import secrets, words

LONG_CHARACTERS = 32 * 1024
"""Longer texts are searched in a thread, so that other calls do not wait."""

CHARACTERS_PER_TEXT = 50
"""The cost of searching one more text, however short, in characters."""


def search_size(texts: Sequence[str]) -> int:
    """Return the cost of searching the texts, in characters."""
    return sum(map(len, texts)) + CHARACTERS_PER_TEXT * len(texts)


async def find_in_texts(guardrail: Guardrail, texts: Sequence[str]) -> list[list[Finding]]:
    """Return each text's findings; regexes run in a thread. Raises `GuardrailUnavailable` if they take too long."""
    threshold = 0 if guardrail.kind == "regex" else LONG_CHARACTERS
    return await offload(search_size(texts), partial(_search, guardrail, texts), threshold)


def _search(guardrail: Guardrail, texts: Sequence[str]) -> list[list[Finding]]:
    match guardrail.kind:
        case "secrets":
            return [list(secrets.find_entities(guardrail.entities or SECRET_ENTITIES, text)) for text in texts]
        case "personal":
            return [list(secrets.find_entities(guardrail.entities or PERSONAL_ENTITIES, text)) for text in texts]
        case "words":
            return [list(words.find_words(_word_list(guardrail.words), text)) for text in texts]
        case _:
            return _find_patterns(guardrail, texts)


@lru_cache(maxsize=256)
def _word_list(entries: tuple[str, ...]) -> words.WordList:
    return words.build_word_list(entries)


def _find_patterns(guardrail: Guardrail, texts: Sequence[str]) -> list[list[Finding]]:
    module = "tidegate.policy.guardrails.regexes"
    try:
        return load(module, "find_patterns")(guardrail.patterns, texts)
    except load(module, "TooSlow"):
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has a pattern that takes too long.") from None
    except ValueError:
        raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} has an invalid pattern.") from None
