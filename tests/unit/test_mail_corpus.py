"""The new text of the corpus of replies: how much of it is acceptable, and how much is lost."""

from collections import Counter

import pytest

from channels.email.parse import parse_mail
from tests.unit.mail_corpus import Case, cases

MARKS = {"text": (0.90, 0.015), "html": (0.92, 0.02), "other than English": (0.88, 0.025)}
"""Group: at least so much acceptable, at most so much lost."""


def groups(case: Case) -> list[str]:
    named = ["html" if case.ext == "html" else "text", f"category {case.category}"]
    return named if case.language == "en" else [*named, "other than English"]


def test_marks(capsys: pytest.CaptureFixture[str]) -> None:
    number, accepted, lost = Counter[str](), Counter[str](), Counter[str]()
    for case in cases():
        text = parse_mail(case.raw).text
        for group in groups(case):
            number[group] += 1
            accepted[group] += case.accepts(text)
            lost[group] += case.has_lost(text)
    with capsys.disabled():
        print()
        for group in sorted(number, key=lambda name: (name.startswith("category"), name)):
            share = accepted[group] / number[group]
            print(
                f"  {group:22} {accepted[group]:3} of {number[group]:3} acceptable ({share:.1%}), "
                f"{lost[group]} lost ({lost[group] / number[group]:.1%})"
            )
    for group, (least, most) in MARKS.items():
        assert accepted[group] / number[group] >= least, group
        assert lost[group] / number[group] <= most, group
