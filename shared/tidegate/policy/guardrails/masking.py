"""A text with other words in the place of what was found in it."""

from collections.abc import Iterable

from tidegate.domain.guardrails import Finding


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The same in order, those that overlap as one: under the label of the one that begins first."""
    found: list[Finding] = []
    for each in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        if found and each.start < found[-1].end:
            if each.end > found[-1].end:
                found[-1] = Finding(found[-1].start, each.end, found[-1].label)
        elif each.end > each.start:
            found.append(each)
    return found


def masked(text: str, findings: Iterable[Finding]) -> str:
    """The text, each finding replaced by its label."""
    pieces: list[str] = []
    done = 0
    for each in merged(findings):
        pieces += (text[done : each.start], each.label)
        done = each.end
    return "".join(pieces) + text[done:] if pieces else text
