"""Messages that people reported, from all engines, clients and registries."""

import pytest

from puller.errors import FailureKind as Kind
from puller.failure import failure
from puller.failure.kinds import KINDS, advice_for
from tests.unit.failure.messages import Told, told, verdict
from tests.unit.failure.test_real_words import MESSAGES

KNOWN = told("known")
UNSEEN = told("unseen")
SET_BY_PULLER = {
    Kind.DISK_TOO_SMALL,
    Kind.ENGINE_BUSY,
    Kind.HOST_KEY,
    Kind.HOST_UNREACHABLE,
    Kind.IMAGE_MISSING,
    Kind.INTERNAL,
    Kind.LOGIN_DENIED,
    Kind.NOT_PRESENT,
    Kind.REDIRECT_REFUSED,
    Kind.REGISTRY_UNAVAILABLE,
    Kind.STALLED,
    Kind.TOO_LARGE,
    Kind.UNVERIFIED,
}
"""Kinds that no words lead to: puller itself knows when they happened."""


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.verdict)
def test_a_known_message_is_understood(case: Told) -> None:
    """Kind and class are right, with the status that came along."""
    assert verdict(case.understood) == case.verdict


@pytest.mark.parametrize("case", UNSEEN, ids=lambda case: case.verdict)
def test_a_message_of_another_registry_or_engine_is_understood(case: Told) -> None:
    """The rules are written for the thing meant, so other wordings of it are understood, too."""
    assert verdict(case.understood) == case.verdict


def test_the_data_is_large_enough_to_mean_something() -> None:
    """Nobody empties the files by mistake."""
    assert len([case for case in KNOWN if not case.debatable]) >= 131
    assert len([case for case in KNOWN if case.debatable]) >= 117
    assert len(UNSEEN) >= 200


def test_where_a_verdict_is_debatable_we_seldom_differ_in_class() -> None:
    """Who collected the messages and who wrote the rules agree on the next try in 12 of 13 debatable cases."""
    debatable = [case for case in KNOWN if case.debatable]
    differ = [case for case in debatable if case.labelled.split("/")[0] != case.verdict.split("/")[0]]
    assert len(differ) / len(debatable) <= 1 / 13
    assert [case for case in KNOWN if not case.debatable and case.labelled != case.verdict] == []


@pytest.fixture(scope="module")
def by_words() -> set[Kind]:
    """Find the kinds of all messages."""
    return {case.understood.kind for case in (*KNOWN, *UNSEEN)} | set(MESSAGES)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_reached_by_words_or_set_by_puller(kind: Kind, by_words: set[Kind]) -> None:
    """Each kind has a message that leads to it, or is one that puller itself knows."""
    assert (kind in by_words) is not (kind in SET_BY_PULLER)


def test_kinds_and_meanings_are_in_step() -> None:
    """Every kind has a meaning, and none is described twice."""
    assert set(KINDS) == set(Kind)
    for told_twice in ("summary", "advice"):
        texts = [getattr(meaning, told_twice) for meaning in KINDS.values()]
        assert len(texts) == len(set(texts))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_told_in_whole_sentences(kind: Kind) -> None:
    """Summary and advice are one line each, with a full stop."""
    for text in (KINDS[kind].summary, advice_for(kind), failure(kind, "words").advice):
        assert text.endswith(".")
        assert "\n" not in text
        assert len(text) <= 120
