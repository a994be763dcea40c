"""Replaces findings in a text by their labels."""

from collections.abc import Iterable

from tidegate.domain.guardrails import Finding


def merge_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Sort the findings and merge those that overlap, under the label of the one that begins first."""
    merged_findings: list[Finding] = []
    for each in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        if merged_findings and each.start < merged_findings[-1].end:
            if each.end > merged_findings[-1].end:
                merged_findings[-1] = Finding(merged_findings[-1].start, each.end, merged_findings[-1].label)
        elif each.end > each.start:
            merged_findings.append(each)
    return merged_findings


def mask_text(text: str, findings: Iterable[Finding]) -> str:
    """Replace each finding by its label."""
    pieces: list[str] = []
    done = 0
    for each in merge_findings(findings):
        pieces += (text[done : each.start], each.label)
        done = each.end
    return "".join(pieces) + text[done:] if pieces else text
