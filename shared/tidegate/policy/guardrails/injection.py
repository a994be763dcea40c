"""Heuristics for prompt injection: a score of phrases that try to take over a model.

They catch prompts copied from public lists, in four languages, but nothing clever; a text about injection that quotes
such a prompt is caught as well. For more, use a service (`bedrock`, `webhook`). The families of phrases are those of
OWASP's LLM01 and of https://learnprompting.org/docs/prompt_hacking/injection (November 2026).
"""

import re
import unicodedata
from collections.abc import Sequence

from tidegate.domain.operation import Text

THRESHOLD = 3
"""The score from which a text is suspicious: one plain order to forget the instructions, or several hints."""

INSTRUCTION_ROLES = ("system", "developer")
"""Roles that may override instructions: their messages are not checked."""

MAX_CHARACTERS = 200_000
"""How many characters are read at the beginning, and at the end, of a text longer than both."""

_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF])
_BLANKS = re.compile(r"\s+")

_INSTRUCTIONS = r"(?:instruction|prompt|rule|direction|directive|guideline|command|order|constraint|restriction)s?"
_EARLIER = r"(?:previous|prior|above|preceding|earlier|foregoing|initial|original|existing|current|system|safety)"
_FILLER = r"(?:(?:all|any|each|every|of|the|your|my|these|those|this|that|and|or|other) ){0,5}"

_PHRASES: tuple[tuple[int, str], ...] = (
    (3, rf"\b(?:ignore|disregard|forget|override|bypass|discard) {_FILLER}(?:{_EARLIER} ){{1,2}}{_INSTRUCTIONS}\b"),
    (3, r"\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:(?:that )?(?:you were|you have been|i) )?"
        r"(?:told|said|written|stated|instructed)?\b ?(?:before|above|previously|so far|until now)\b"),
    (2, rf"\b(?:ignore|disregard|forget) (?:all )?(?:of )?(?:your|the) {_INSTRUCTIONS}\b"),
    (2, r"\bdo not (?:follow|obey) (?:any |the |your )?(?:previous|prior|above|system|original) "),
    (3, r"\b(?:ignoriere?|vergiss|missachte) (?:(?:bitte|alle|sämtliche|die|deine|den|das|der) ){0,3}"
        r"(?:bisherigen?|vorherigen?|vorigen?|obigen?|früheren?|vorangegangenen?) "
        r"(?:anweisung|instruktion|regel|vorgabe|befehl|prompt)"),
    (3, r"\b(?:ignore[zs]?|oublie[zs]?) (?:(?:toutes|tous|les|tes|vos) ){0,3}"
        r"(?:instructions|consignes|règles|directives) (?:précédentes|antérieures|ci-dessus)"),
    (3, r"\b(?:ignora|olvida|omite) (?:(?:todas|todos|las|los|tus|sus) ){0,3}"
        r"(?:instrucciones|reglas|indicaciones|órdenes) (?:anteriores|previas|de arriba)"),
    (2, rf"\b(?:reveal|print|show|repeat|output|display|leak|dump|tell me|give me|what (?:is|are|was|were)) "
        rf"(?:me )?{_FILLER}(?:(?:hidden|secret|initial|original|full|entire|exact|verbatim) ){{0,2}}"
        r"(?:system|developer|hidden|initial|secret) (?:prompt|message|instructions)\b"),
    (2, r"\brepeat (?:everything|all(?: of)? the (?:text|words)|the (?:text|words)) above\b"),
    (2, r"\b(?:you are|you're|act|behave|respond) (?:now |as |like ){0,3}"
        r"(?:dan|stan|dude|jailbroken|unfiltered|uncensored)\b"),
    (2, r"\bdo anything now\b"),
    (2, r"\b(?:enter|enable|activate|switch to|you are (?:now )?in) (?:the )?"
        r"(?:developer|debug|god|admin|jailbreak|dan) mode\b"),
    (2, r"\b(?:pretend|act as if|imagine|assume) (?:that )?(?:you have|there are|you are bound by) no "
        r"(?:restriction|rule|filter|limit|guideline|ethical|safety|moral)"),
    (2, r"\bwithout any (?:ethical|moral|safety|content) (?:restriction|guideline|filter|constraint|limit)s?"),
    (2, r"\b(?:your|the) new (?:instructions|rules|system prompt|orders) (?:is|are)\b"),
    (1, r"\bnew instructions ?:"),
    (1, r"\bfrom now on,? you (?:will|must|are|shall)\b"),
    (1, r"\b(?:jailbreak|jailbroken)\b"),
    (1, r"\bno (?:longer )?bound by\b"),
    (1, r"\b(?:stay|remain) in character no matter\b"),
    (3, r"<\|(?:im_start|start_header_id|system|endofprompt)\|>|<<sys>>|\[/?inst\].{0,40}<<"),
    (2, r"(?:^| )(?:#{2,3} ?|\[)(?:system|new system prompt|system override)(?: ?:|\])"),
)  # fmt: skip

_COMPILED = tuple((score, re.compile(phrase)) for score, phrase in _PHRASES)


def score(text: str) -> int:
    """Return the sum of the points of all phrases in the text, each counted once."""
    if len(text) > 2 * MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]} {text[-MAX_CHARACTERS:]}"
    plain = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).lower()
    plain = _BLANKS.sub(" ", plain)
    return sum(points for points, phrase in _COMPILED if phrase.search(plain))


def is_suspicious(text: str) -> bool:
    return score(text) >= THRESHOLD


def find_suspicious(texts: Sequence[Text]) -> Text | None:
    """Return the first suspicious text, None if there is none. Many short texts are checked together at first."""
    batch, characters = list[Text](), 0
    for text in texts:
        if text.role in INSTRUCTION_ROLES:
            continue
        if batch and characters + len(text.text) > MAX_CHARACTERS:
            found = _first_suspicious(batch)
            if found is not None:
                return found
            batch, characters = [], 0
        batch.append(text)
        characters += len(text.text) + 1
    return _first_suspicious(batch)


def _first_suspicious(batch: Sequence[Text]) -> Text | None:
    # Line breaks become blanks, before and after which each phrase may stand: together, no text scores less than alone.
    if len(batch) > 1 and not is_suspicious("\n".join(text.text for text in batch)):
        return None
    return next((text for text in batch if is_suspicious(text.text)), None)
