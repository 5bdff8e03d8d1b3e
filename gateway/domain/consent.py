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


class Keyword(StrEnum):
    """What a message of one word may ask for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


_WORDS: Final = {
    Keyword.STOP: """
        stop|unsubscribe|end|quit|stopall|stop all|revoke|optout|opt out|opt-out|cancel|remove|remove me|unsub
        |stop texting me|do not text me|don't text me
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
    """What a message asks for that is a keyword, and else only punctuation, emoji, quotes and white space."""
    return _KEYWORDS.get(_folded(text)) if len(text) <= LONGEST_KEYWORD else None


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
class ConsentTexts:
    """What the gateway says to a keyword, and for which of our numbers it counts."""

    senders: tuple[str, ...] = ()
    """Our numbers that are one sender to the people they write to: a wish holds for all of them."""
    provider_answers: bool = True
    """The provider answers keywords: nothing is said to them."""
    stop: str = "You will receive no more messages from this number. Reply START to receive them again."
    """Said once, although nothing else is sent any more."""
    start: str = "You will receive messages from this number again. Reply STOP to end that."
    help: str = "An assistant answers this number. Reply STOP to receive no more messages."


DEFAULT_TEXTS: Final = ConsentTexts()
