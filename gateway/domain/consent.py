"""Consent to be written to: the words that take it back, give it again or ask for help, and who says so.

The words are those of Twilio's default handling, those the FCC lists (47 CFR 64.1200(a)(10)), and what people
in other languages write instead. A message counts only where it is such a word and nothing else: "stop" in
a sentence about a bus stop is none.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

LONGEST_KEYWORD = 64
"""Characters of a message that may be a keyword with what is around it."""


LONGEST_SENTENCE = 160
"""Characters of a message that may take consent back in other words."""


class Keyword(StrEnum):
    """What a message of one word may ask for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


_WORDS: Final = {
    Keyword.STOP: """
        stop|unsubscribe|end|quit|stopall|stop all|revoke|optout|opt out|opt-out|cancel|remove|remove me|unsub
        |arret|arrêt|arrête|arrete|arrett|désabonner|désinscription|se désabonner
        |alto|parar|cancelar|baja|dar de baja|darme de baja|no más mensajes
        |stopp|abmelden|abbestellen|austragen
        |sair|descadastrar|cancelar inscrição
        |cancella|cancellami|disiscrivi|annulla iscrizione
        |afmelden|uitschrijven|stoppen
        |wypisz|rezygnuję|odhlásit
        |avsluta|avregistrera|afmeld|avmeld|peruuta
        |стоп|отписаться|отписка|відписатися
        |dur|iptal|durdur|abonelikten çık
        |停止|退订|退訂|取消订阅|取消訂閱|配信停止|수신거부|중지
        |توقف|إيقاف|ايقاف|الغاء الاشتراك|إلغاء الاشتراك|रोकें|बंद करें
    """,
    Keyword.START: """
        start|unstop|yes|subscribe|optin|opt in|opt-in|resume
        |démarrer|reprendre|s'abonner|iniciar|alta|suscribir|anmelden|começar|inizia|iscrivimi|aanmelden
        |старт|подписаться|başlat|开始|订阅|訂閱|再開|수신동의|ابدأ|शुरू
    """,
    Keyword.HELP: """
        help|info|aide|ayuda|hilfe|ajuda|aiuto|hulp|pomoc|hjälp|hjælp|hjelp|apua
        |помощь|допомога|yardım|帮助|幫助|ヘルプ|도움말|مساعدة|मदद
    """,
}


def _folded(text: str) -> str:
    """Letters and digits only, without case, marks above them and compatibility forms (NFKC, then NFKD)."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in spread if char.isalnum())


_KEYWORDS: Final = MappingProxyType(
    {_folded(word): keyword for keyword, words in _WORDS.items() for word in words.split("|")}
)


_POLITE_WORDS: Final = """
    please pls plz ok okay hey hi hello thanks thank you now just guys kindly can could would will
    por favor gracias ya hola sil vous te plait svp merci bitte danke jetzt sofort obrigado per favore grazie
    again anymore ever
"""
_POLITE: Final = frozenset(_POLITE_WORDS.split())
_PHRASES: Final = """
    stop texting me|stop texting|stop messaging me|stop messaging|stop contacting me|stop writing me
    |stop writing to me|stop sending me messages|stop sending me texts
    |stop sending me these messages|stop sending me these texts
    |stop sending messages|stop sending texts|stop sending these messages|stop sending these texts
    |stop all messages|stop these messages|stop these texts|stop the messages|stop the texts
    |no more texts|no more messages|no more sms
    |do not text me|don't text me|do not message me|don't message me|do not contact me|don't contact me
    |do not text this number|don't text this number|do not write me|don't write me|do not write to me
    |take me off your list|take me off the list|take me off this list|remove me from your list
    |remove me from the list|remove me from this list|remove my number
    |remove my number from your list|unsubscribe me|opt me out
    |i want to unsubscribe|i want to opt out|i'd like to unsubscribe|i would like to unsubscribe
    |lose my number|i do not want these messages|i don't want these messages|i do not want to receive messages
    |no me escriban más|no me escribas más|no me envíen más mensajes|no me manden más mensajes|no más mensajes
    |no quiero más mensajes|no quiero recibir más mensajes|dejen de escribirme|deja de escribirme
    |dejen de enviarme mensajes|dejen de mandarme mensajes|quítenme de la lista|bórrenme de la lista
    |arrêtez de m'écrire|arrêtez de m'envoyer des messages|arrêtez de m'envoyer des sms|ne m'écrivez plus
    |ne m'envoyez plus de messages|ne m'envoyez plus de sms
    |retirez-moi de la liste|retirez-moi de votre liste|désinscrivez-moi|désabonnez-moi
    |keine sms mehr|keine nachrichten mehr|schreiben sie mir nicht mehr|schreibt mir nicht mehr
    |hören sie auf mir zu schreiben|hört auf mir zu schreiben|ich möchte keine nachrichten mehr
    |ich will keine nachrichten mehr|ich möchte keine sms mehr|nehmen sie mich von der liste
    |melden sie mich ab|pare de me enviar mensagens|parem de me enviar mensagens|não me mande mais mensagens
    |non scrivetemi più|non mandatemi più messaggi|basta messaggi
"""


def _bare(text: str) -> str:
    """What is left of a text without the words of politeness."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return "".join(folded for word in words if (folded := _folded(word)) not in _POLITE)


_REVOCATIONS: Final = frozenset(_bare(phrase) for phrase in _PHRASES.split("|"))
"""Sentences that can mean nothing else, in the languages we know well enough."""

_PROVIDERS_OWN: Final = frozenset(
    word
    for words in ("stop unsubscribe end quit stopall revoke optout cancel", "start yes unstop", "help info")
    for word in words.split()
)
"""The words that Twilio answers by default: https://help.twilio.com/articles/223134027"""


def answered_by_provider(text: str) -> bool:
    """Whether a provider that answers keywords knows this one, where it is not configured otherwise."""
    return text.strip().casefold() in _PROVIDERS_OWN


def keyword_of(text: str) -> Keyword | None:
    """What a message asks for that is a keyword, and else only punctuation, emoji, quotes and white space.

    A sentence that takes consent back, and says nothing else but "please", is a STOP too.
    """
    if len(text) <= LONGEST_KEYWORD and (found := _KEYWORDS.get(_folded(text))):
        return found
    return Keyword.STOP if len(text) <= LONGEST_SENTENCE and _bare(text) in _REVOCATIONS else None


class ConsentState(StrEnum):
    """What a person wants."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class ConsentSource(StrEnum):
    """Who says so."""

    KEYWORD = "keyword"
    """The person, by a keyword that we understood."""
    PROVIDER = "provider"
    """The person, by a keyword that the provider understood and answered."""
    CARRIER = "carrier"
    """The provider refused to send, because the person has opted out there."""
    AGENT = "agent"
    """The agent, who understood the person so."""
    OPERATOR = "operator"

    @property
    def firm(self) -> bool:
        """Whether a START of the person does not take it back: it takes back what a keyword did."""
        return self in (ConsentSource.AGENT, ConsentSource.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where a wish came from, as the ledger keeps it."""

    source: ConsentSource
    detail: str | None = None
    """The provider's code, or an operator's reason."""
    actor: str | None = None
    """The operator's key, by name."""
    conversation_id: str | None = None
    message_id: str | None = None
    """The message it was read in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRules:
    """For which of our numbers a wish holds, who answers it, and what we say to it."""

    senders: tuple[str, ...] = ()
    """Our numbers that are one sender to the people they write to: a wish holds for all of them."""
    provider_answers: bool = True
    """The provider answers keywords: nothing is said to them."""
    stop: str = "You will receive no more messages from this number. Reply START to receive them again."
    """Said once, although nothing else is sent any more."""
    start: str = "You will receive messages from this number again. Reply STOP to end that."
    help: str = "An assistant answers this number. Reply STOP to receive no more messages."


DEFAULT_CONSENT: Final = ConsentRules()
