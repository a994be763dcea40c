"""Finds positions in texts, for the kinds of guardrail that can name them: words, regex, secrets and personal data."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate

from tidegate.domain.guardrails import PERSONAL_ENTITIES, SECRET_ENTITIES, Finding, Guardrail
from tidegate.errors import GuardrailUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.policy.guardrails import secrets, words

LONG_CHARACTERS = 32 * 1024
"""Longer texts are searched in a thread, so that other calls do not wait."""

CHARACTERS_PER_TEXT = 50
"""The cost of searching one more text, however short, in characters."""

SEPARATOR = "\0"
"""Joins texts: no finding includes or depends on it, so together they have all findings that they have alone."""


def search_size(texts: Sequence[str]) -> int:
    """Return the cost of searching the texts, in characters."""
    return sum(map(len, texts)) + CHARACTERS_PER_TEXT * len(texts)


def joint_search(guardrails: Sequence[Guardrail]) -> Callable[[str], bool] | None:
    """Return what tells if any of the guardrails finds something in a text: less work than to find what, and where.

    None if one of them needs more than the text, or its own thread.
    """
    searches: list[Callable[[str], bool]] = []
    for guardrail in guardrails:
        find = _finder(guardrail)
        if find is None:
            return None
        is_list = guardrail.kind == "words"
        search = partial(words.has_words, _word_list(guardrail.words)) if is_list else partial(_finds, find)
        searches.append(search)
    return searches[0] if len(searches) == 1 else lambda text: any(search(text) for search in searches)


async def find_in_texts(guardrail: Guardrail, texts: Sequence[str]) -> list[list[Finding]]:
    """Return each text's findings; regexes run in a thread. Raises `GuardrailUnavailable` if they take too long."""
    size = search_size(texts)
    if size <= LONG_CHARACTERS and guardrail.kind != "regex":
        return _search(guardrail, texts)
    return await offload(size, partial(_search, guardrail, texts), threshold=0)


def _search(guardrail: Guardrail, texts: Sequence[str]) -> list[list[Finding]]:
    find = _finder(guardrail)
    return _find_patterns(guardrail, texts) if find is None else _search_together(find, texts)


def _finder(guardrail: Guardrail) -> Callable[[str], Iterator[Finding]] | None:
    """Return what finds all that the guardrail looks for in a text; None if it does not do so in this thread."""
    match guardrail.kind:
        case "secrets":
            return partial(secrets.find_entities, guardrail.entities or SECRET_ENTITIES)
        case "personal":
            return partial(secrets.find_entities, guardrail.entities or PERSONAL_ENTITIES)
        case "words":
            return partial(words.find_words, _word_list(guardrail.words))
        case _:
            return None


def _finds(find: Callable[[str], Iterator[Finding]], text: str) -> bool:
    return next(find(text), None) is not None


def _search_together(find: Callable[[str], Iterable[Finding]], texts: Sequence[str]) -> list[list[Finding]]:
    """Search all texts as one, and then each text in which something was found."""
    if len(texts) == 1:
        return [list(find(texts[0]))]
    findings_by_text: list[list[Finding]] = [[] for _ in texts]
    begins = list(accumulate((len(text) + len(SEPARATOR) for text in texts), initial=0))
    touched: set[int] = set()
    for finding in find(SEPARATOR.join(texts)):
        touched.update(range(bisect_right(begins, finding.start) - 1, bisect_left(begins, finding.end)))
    for index in touched:
        findings_by_text[index] = list(find(texts[index]))
    return findings_by_text


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
