"""Words of consent: many spellings of each, and nothing that only contains one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.routes import inbound_message
from channels.twilio.requests import MAX_METADATA, MAX_VALUE, TwilioForm
from gateway.domain.consent import LONGEST_KEYWORD, Keyword, answered_by_provider, keyword_of


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", "Stop.", " stop \n", "“STOP”", "STOP!!!", "🛑 stop 🛑", "ＳＴＯＰ",
        "s t o p", "S.T.O.P.",
        "Stop\u200b", "stop\ufe0f", "UNSUBSCRIBE", "end", "Quit", "stopall", "STOP ALL", "stop-all", "revoke",
        "opt out", "Opt-Out", "OPTOUT", "cancel", "remove", "Unsub", "Don't text me", "don’t text me.",
        "ARRET", "arrêt", "ARRE\u0302T", "Arrete", "ARRETT", "Désinscription",
        "ALTO", "parar", "CANCELAR", "Baja", "dar de baja", "STOPP", "Abmelden", "abbestellen",
        "sair", "cancella", "afmelden", "СТОП", "отписаться", "İptal", "iptal", "退订", "退訂", "配信停止",
        "수신거부", "إيقاف", "रोकें",
    ],
)  # fmt: skip
def test_stop_in_many_spellings(text: str) -> None:
    assert keyword_of(text) is Keyword.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Please stop texting me!", "can you please stop texting me, thanks", "Stop messaging me now.",
        "stop sending me these messages", "Don't text me again", "do not contact me anymore",
        "take me off your list", "REMOVE ME FROM THE LIST please", "no more texts",
        "No more messages, thanks",
        "I want to unsubscribe", "lose my number", "No quiero más mensajes, gracias",
        "por favor no me escriban más",
        "S'il vous plaît, ne m'écrivez plus", "Arrêtez de m'envoyer des SMS svp", "Bitte keine SMS mehr",
        "Schreiben Sie mir nicht mehr!", "Pare de me enviar mensagens", "Basta messaggi, grazie",
    ],
)  # fmt: skip
def test_a_sentence_that_can_mean_nothing_else_is_a_stop(text: str) -> None:
    assert keyword_of(text) is Keyword.STOP
    assert not answered_by_provider(text)


@pytest.mark.parametrize("text", ["START", "unstop", "Yes", "yes!", "opt in", "Démarrer", "старт"])
def test_start(text: str) -> None:
    assert keyword_of(text) is Keyword.START


@pytest.mark.parametrize("text", ["HELP", "info", "Help?", "Aide", "ayuda", "HILFE", "ajuda", "帮助"])
def test_help(text: str) -> None:
    assert keyword_of(text) is Keyword.HELP


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "🛑", "!!!", "stop please", "please stop", "where is the bus stop", "cancel my order",
        "the end",
        "stop texting me at this number, use my new one", "please", "thank you", "can you text me",
        "I never said: stop texting me", "don't text me the code, mail it", "no more pizza",
        "any more texts?",
        "stop texting me" + "!" * 160,
        "stopp it", "help me", "yes please", "no", "stop" * 3, "st0p", "stop 2",
        "stop" + "!" * LONGEST_KEYWORD,
    ],
)  # fmt: skip
def test_what_only_contains_a_word_is_none(text: str) -> None:
    assert keyword_of(text) is None


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = keyword_of(text)
    assert found is None or any(char.isalnum() for char in text)
    # letters and digits around a word make another word of it
    assert keyword_of("x" + text + "x") is None or found is None


@given(
    st.sampled_from(["stop", "Arrêt", "退订"]),
    st.text(st.characters(categories=["P", "S", "Z"]), max_size=20),
)
def test_punctuation_and_signs_change_nothing(word: str, around: str) -> None:
    if keyword_of(around + "x") is None:  # compatibility forms of letters are letters
        assert keyword_of(around + word + around) in (Keyword.STOP, None)
    assert keyword_of(f"«{word}» …") is Keyword.STOP


def test_which_words_a_provider_answers() -> None:
    assert answered_by_provider(" STOP ")
    assert answered_by_provider("info")
    assert not answered_by_provider("hilfe")
    assert not answered_by_provider("opt out")


def form(**fields: str) -> TwilioForm:
    base = {"MessageSid": "SM1", "From": "+14155550123", "To": "+15550100", "Body": "hello"} | fields
    return TwilioForm(tuple(base.items()), base)


@pytest.mark.parametrize(
    ("value", "keyword"),
    [("STOP", Keyword.STOP), ("start", Keyword.START), ("HELP", Keyword.HELP), ("", None), ("PAUSE", None)],
)
def test_what_the_provider_took_for_a_keyword_is_handed_on(value: str, keyword: Keyword | None) -> None:
    message = inbound_message(form(Body="arrêtez tout", OptOutType=value), 0)
    assert message.keyword is keyword
    assert message.metadata["provider"]["OptOutType"] == value


@pytest.mark.parametrize(
    ("fields", "answerable"),
    [
        ({}, True),
        ({"From": "72345"}, True),
        ({"From": "whatsapp:+14155550123"}, True),
        ({"From": "Example Co"}, False),
        ({"From": "+266696687"}, False),
        ({"OtherRecipients0": "+14155550199"}, False),
    ],
)
def test_whom_no_reply_reaches_is_not_answered(fields: dict[str, str], answerable: bool) -> None:
    assert inbound_message(form(**fields), 0).answerable is answerable


def test_all_parameters_are_kept_within_bounds() -> None:
    many = {f"Odd{number}": "x" * 1000 for number in range(100)}
    metadata = inbound_message(form(New="1", Long="y" * (MAX_VALUE + 1), **many), 0).metadata
    kept = metadata["provider"]
    assert (kept["New"], len(kept["Long"])) == ("1", MAX_VALUE)
    assert sum(len(name) + len(value) for name, value in kept.items()) <= MAX_METADATA
    assert metadata["provider_cut"][0] == "Long"
    assert "provider_cut" not in inbound_message(form(), 0).metadata
