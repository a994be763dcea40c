"""Finds credentials in a text by the formats of their issuers, each in linear time.

Sources, read in November 2026: the formats that GitHub's secret scanning documents for its partners; AWS's
"Understanding unique ID prefixes"; RFC 7468 for keys in PEM; RFC 7519 for JSON Web Tokens.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from tidegate.domain.guardrails import Entity, Finding
from tidegate.policy.guardrails.personal import find_cards, find_emails, find_ibans, find_phones

_NOT_IN_WORD = r"(?<![A-Za-z0-9_-])"

_SHAPES: dict[Entity, re.Pattern[str]] = {
    "ANTHROPIC_KEY": re.compile(_NOT_IN_WORD + r"sk-ant-[A-Za-z0-9_-]{20,}"),
    "OPENAI_KEY": re.compile(_NOT_IN_WORD + r"sk-(?!ant-)(?:[a-z]{2,12}-)?(?=[A-Za-z_-]{0,80}[0-9])[A-Za-z0-9_-]{20,}"),
    "AWS_KEY": re.compile(
        _NOT_IN_WORD + r"(?:(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"
        r"|(?i:aws_?secret_?access_?key)[\"']?[ ]{0,4}[:=][ ]{0,4}[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))"
    ),
    "GOOGLE_KEY": re.compile(_NOT_IN_WORD + r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "GITHUB_TOKEN": re.compile(_NOT_IN_WORD + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})"),
    "SLACK_TOKEN": re.compile(_NOT_IN_WORD + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}"),
    "JWT": re.compile(_NOT_IN_WORD + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
}

_PARTS: dict[Entity, tuple[str, ...]] = {
    "ANTHROPIC_KEY": ("sk-ant-",),
    "OPENAI_KEY": ("sk-",),
    "AWS_KEY": ("akia", "asia", "access"),
    "GOOGLE_KEY": ("aiza",),
    "GITHUB_TOKEN": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "SLACK_TOKEN": ("xox", "xapp-"),
    "JWT": ("eyj",),
}
"""Parts in lower case, of which each credential has one: to look for them first takes a tenth of the time."""

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")


def find_private_keys(text: str) -> Iterator[Finding]:
    """Find blocks of PEM and PGP; a block without an end reaches to the end of the text."""
    begin = _BEGIN.search(text)
    while begin is not None:
        last = _END.search(text, begin.end())
        end = last.end() if last else len(text)
        yield Finding(begin.start(), end, "[PRIVATE_KEY]")
        begin = _BEGIN.search(text, end)


def _search_for(entity: Entity) -> Callable[[str], Iterator[Finding]]:
    pattern, label = _SHAPES[entity], f"[{entity}]"

    def search(text: str) -> Iterator[Finding]:
        for match in pattern.finditer(text):
            yield Finding(match.start(), match.end(), label)

    return search


_SEARCHES: dict[Entity, Callable[[str], Iterator[Finding]]] = {
    "EMAIL": find_emails,
    "PHONE": find_phones,
    "IBAN": find_ibans,
    "CARD": find_cards,
    "PRIVATE_KEY": find_private_keys,
    **{entity: _search_for(entity) for entity in _SHAPES},
}


def find_entities(entities: Iterable[Entity], text: str) -> Iterator[Finding]:
    """Find these entities in the text, in no particular order; findings may overlap."""
    lowered = text.lower()
    for entity in entities:
        parts = _PARTS.get(entity)
        if parts is None or any(part in lowered for part in parts):
            yield from _SEARCHES[entity](text)
