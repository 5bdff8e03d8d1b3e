"""What a caller on hold for a warm transfer is told, with music and without."""

from dataclasses import replace

from channels.voice.steps import Links, Step
from channels.voice.verbs import Join, Pause, Play, Redirect, Say
from channels.voice.warm.documents import ASK_AGAIN_SECONDS, caller_document, waits_quietly
from gateway.domain.call_rules import CallTexts
from gateway.domain.warm.held import hold
from gateway.domain.warm.words import CallerGone, Leg, LegEvent, Spoken
from tests.unit.test_warm_held import events, new

LINKS = Links("https://gateway.test")
TEXTS = CallTexts()
MUSIC = "https://music.test/hold.mp3"
AGAIN = Pause(ASK_AGAIN_SECONDS)
START = Step(n=1, transfer="t")


def test_music_plays_when_all_was_said_and_pauses_where_it_cannot_be_played() -> None:
    held = hold(new(hold_announcement_text="Hold on."), 0)
    told = replace(START, told=1)
    back = Redirect(LINKS.hold(told))
    said = (Say("Hold on."),)
    assert caller_document(held, START, LINKS, TEXTS) == (*said, AGAIN, back)
    assert caller_document(held, told, LINKS, TEXTS) == (AGAIN, back)
    assert caller_document(held, START, LINKS, TEXTS, MUSIC) == (*said, back)
    assert caller_document(held, told, LINKS, TEXTS, MUSIC) == (Play(MUSIC), AGAIN, back)
    assert [waits_quietly(held, step, MUSIC) for step in (START, told)] == [False, True]
    assert not waits_quietly(held, told, None)


def test_who_joins_a_person_waits_and_who_is_told_the_end_does_not() -> None:
    asked = events(hold(new(), 0), Spoken(), Leg(1, LegEvent.ANSWERED), Leg(1, LegEvent.BRIEFED))
    accepted = events(asked, Leg(1, LegEvent.ACCEPTED))
    assert not waits_quietly(asked, replace(START, told=1), None)
    assert waits_quietly(accepted, START, None)
    assert isinstance(caller_document(accepted, START, LINKS, TEXTS, MUSIC)[0], Join)
    for end in (CallerGone(), Leg(1, LegEvent.BRIDGED)):
        assert not waits_quietly(events(accepted, end), START, MUSIC)
