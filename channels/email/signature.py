"""What a mail carries below and above its text: signatures, telephone lines, list footers, legal notices.

Cut where it is marked as such; a name below "Kind regards" is left, because nothing tells it from the text.
"""

import re
from collections.abc import Sequence

from channels.email.lines import Line, Zone

SIGNATURE_LINES = 16
"""Lines that may stand below a delimiter; more of them are text."""
_FOOTER_LINES = 60
_BANNER_LENGTH = 700

_DELIMITERS = ("--", "—", "–", "―")
_MAX_SIGNATURE_LINE = 100
"""Characters; a longer line below a delimiter that is not exactly `-- ` is text."""
_MOBILE = re.compile(
    r"(?:sent (?:from|via|with|using) (?!us\b)|get (?:outlook|bluemail|aqua mail|boxer) for\b|get outlook$"
    r"|von meinem\b.{1,40}gesendet|(?:diese nachricht wurde )?(?:gesendet|versendet|verschickt) (?:von|mit"
    r"|aus|über)\b|envoyé (?:de|depuis|à partir|avec|via|par)\b|obtenir outlook|téléchargez outlook"
    r"|enviado (?:desde|do|de|a partir|pelo|con|com|via)\b|obtener outlook|obter o outlook|inviato (?:da"
    r"|dal|con|tramite)\b|scarica outlook|verzonden (?:vanaf|met|via|vanuit|van)\b|verstuurd (?:vanaf"
    r"|met)\b|outlook voor\b|skickat (?:från|med|via)\b|hämta outlook|sendt (?:fra|via|med)\b|hent outlook"
    r"|lähetetty\b.{0,40}|wysłan[eoy] (?:z|za pomocą)\b|odesláno (?:z|pomocí)\b|elküldve\b|trimis (?:de pe"
    r"|din)\b|.{0,40} gönderildi|отправлено (?:с|из)\b|надіслано (?:з|із)\b|iphone から|iphoneから送信"
    r"|.{0,20}から送信|发自我的|從我的|从我的|.{0,20}에서 보냄|נשלח מה|‎?أرسلت من)",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"(?<!\w)(?:i-?phone|i-?pad|ipod|android|galaxy|samsung|blackberry|windows|mobile|mail|outlook|yahoo"
    r"|gmail|phone|smartphone|tablet|pixel|huawei|xiaomi|redmi|oneplus|oppo|honor|motorola|nokia|lg|htc"
    r"|sony|xperia|nexus|wiko|device|mobil\w*|handy|telefon\w*|téléphone|móvil|celular|cellulare|telefono"
    r"|gsm|mac|macbook|webmail|proton\w*|tutanota|thunderbird|airmail|spark|bluemail|k-9|aqua|nine|app"
    r"|e-?mail|at&t|verizon|t-mobile|orange|vodafone|телефон\w*|устройств\w*|почт\w*|手机|の)(?!\w)|iphon"
    r"|手机|送信",
    re.IGNORECASE,
)
_MAX_MOBILE = 120

_LEGAL = re.compile(
    r"confidential|privileged|intended (?:solely |only )?(?:recipient|addressee|for)|not (?:the|an"
    r"|a) intended|received this (?:e-?mail|message|communication|transmission)? ?(?:in|by) error"
    r"|unauthori[sz]ed|notify the sender|strictly prohibited|disclos|legally (?:binding|protected)"
    r"|virus(?:es)?\b|liab(?:le|ility)|copyright|before printing|consider the environment"
    r"|registered (?:office|in)|vertraulich|nicht der (?:richtige|beabsichtigte|vorgesehene)|irrtümlich"
    r"|unbefugt|informieren sie bitte|rechtlich geschützt|confidentiel|destinataire (?:prévu|désigné)"
    r"|n['’]êtes pas (?:le|la) destinataire|par erreur|avertir l['’]expéditeur|avant d['’]imprimer"
    r"|confidencial|destinatario (?:indicado|previsto)|por error|por erro|no autorizad|notifi[cq]u"
    r"|riservat[eio]|destinatari[oi]|per errore|vietat[oa]|vertrouwelijk|niet de (?:bedoelde|beoogde)"
    r"|ten onrechte|abusievelijk|konfidentiel|fortrolig|konfidentiell|luottamuksel|poufn|důvěrn|dôvern"
    r"|bizalmas|gizli|конфиденциальн|конфіденційн|по ошибке|保密|機密|机密|守秘",
    re.IGNORECASE,
)
_ABOUT_ITSELF = re.compile(
    r"(?:this|the) (?:e-?mail|message|communication|transmission)|diese[r]? (?:e-?mail|nachricht)"
    r"|ce(?:t e-?mail| message| courriel| mail)|est[ea] (?:mensaje|correo|e-?mail|mensagem|comunicación)"
    r"|quest[oa] (?:messaggio|e-?mail|comunicazione)|dit (?:bericht|e-?mail)|deze e-?mail"
    r"|detta (?:e-?mail|meddelande|mejl)|denne (?:e-?mail|mail|besked|e-?post)|tämä (?:viesti|sähköposti)"
    r"|ta wiadomość|niniejsza wiadomość|tato zpráva|ezen? (?:üzenet|e-?mail)|bu (?:e-?posta|mesaj)"
    r"|(?:данное|настоящее|это) (?:сообщение|письмо)|本邮件|此邮件|本メール|이 메일",
    re.IGNORECASE,
)
_LIST_FOOTER = re.compile(
    r"mailing list|mailman|unsubscribe|to be removed|listinfo|google groups|manage your (?:subscription"
    r"|preferences)|reply to this e?-?mail directly|view it on github|you are receiving this"
    r"|you received this (?:message|because)|abbestellen|désabonner|darse de baja",
    re.IGNORECASE,
)
_BANNER = re.compile(
    r"[\[(*!⚠\s]{0,4}(?:caution|warning|attention|external|notice|be careful|this (?:e-?mail"
    r"|message) (?:originated|was sent from|came from)|you don['’]t often get e?-?mail from|achtung"
    r"|vorsicht|warnung|externe?\b|avertissement|prudence|atención|precaución|advertencia|attenzione"
    r"|avviso|atenção|aviso|let op|waarschuwing|varning|advarsel|uwaga|внимание|внешн)",
    re.IGNORECASE,
)
_OUTSIDE = re.compile(
    r"originate\w* (?:from )?(?:an )?outside|(?:came|sent|is|received) from (?:an )?outside"
    r"|outside (?:of )?(?:the|this|our|your) (?:\w+ )?(?:organi[sz]ation|company|network|domain)"
    r"|external (?:sender|source|e-?mail|mail|message|address)|learn why this is important|do not click"
    r"|außerhalb|externen? (?:absender|e-?mail|quelle)|provient de l['’]ext[ée]rieur|expéditeur externe"
    r"|ne cliquez pas|fuera de (?:la|su|nuestra) organi|externo|no haga clic|proviene dall['’]esterno"
    r"|mittente esterno|fora da (?:organi|empresa)|buiten (?:de|onze|uw) organi|externe afzender|utanför"
    r"|uden for|utenfor|spoza|извне",
    re.IGNORECASE,
)


def is_mobile(line: Line) -> bool:
    """Whether a line is what a telephone or a mail program adds: "Sent from my …"."""
    bare = line.bare
    return (
        0 < len(bare) <= _MAX_MOBILE
        and not line.quoted
        and _MOBILE.match(bare) is not None
        and _DEVICE.search(bare) is not None
        and bare.count(",") == 0
    )


def without_banner(lines: Sequence[Line]) -> list[Line]:
    """The lines without the warning that a mail server put on top ("from outside your organisation")."""
    first = next((i for i, line in enumerate(lines) if not line.blank), len(lines))
    end = first
    while end < len(lines) and not lines[end].blank:
        end += 1
    text = " ".join(line.bare for line in lines[first:end][:8])
    if len(text) <= _BANNER_LENGTH and _BANNER.match(text) and _OUTSIDE.search(text):
        return list(lines[end:])
    return list(lines)


def without_signature(lines: Sequence[Line]) -> list[Line]:
    """The lines without what stands below the text, cut again until nothing more is found."""
    kept = list(lines)
    for _ in range(4):
        _drop_blank_end(kept)
        end = _signature_start(kept)
        if end is None:
            break
        del kept[end:]
    _drop_blank_end(kept)
    return kept


def _drop_blank_end(lines: list[Line]) -> None:
    while lines and lines[-1].blank:
        lines.pop()


def _signature_start(lines: Sequence[Line]) -> int | None:
    if not lines:
        return None
    if is_mobile(lines[-1]):
        return len(lines) - 1
    return _first(_named_signature(lines), _legal_start(lines), _list_footer_start(lines), _delimited(lines))


def _first(*found: int | None) -> int | None:
    return next((at for at in found if at is not None), None)


def _named_signature(lines: Sequence[Line]) -> int | None:
    """What the mail's HTML calls its signature, at its end."""
    start = len(lines)
    while start and (lines[start - 1].zone is Zone.SIGNATURE or lines[start - 1].blank):
        start -= 1
    if start == len(lines) or len(lines) - start > SIGNATURE_LINES * 2:
        return None
    return start


def _delimited(lines: Sequence[Line]) -> int | None:
    """Below the last `-- ` (RFC 3676 §4.3) and its like, where little follows and nothing is quoted."""
    shown = 0
    for i in range(len(lines) - 1, max(-1, len(lines) - 2 * SIGNATURE_LINES - 1), -1):
        if lines[i].quoted or shown > SIGNATURE_LINES:
            return None
        if lines[i].bare in _DELIMITERS:
            is_exact = lines[i].text == "-- "
            short = all(len(line.text) <= _MAX_SIGNATURE_LINE for line in lines[i + 1 :])
            return i if is_exact or short else None
        shown += not lines[i].blank
    return None


def _legal_start(lines: Sequence[Line]) -> int | None:
    """A last paragraph in which lawyers speak of the mail itself, with the drawn line above it."""
    start = _paragraph_start(lines)
    if any(line.quoted for line in lines[start:]):
        return None
    text = " ".join(line.bare or line.text[:2000] for line in lines[start:])
    if not _ABOUT_ITSELF.search(text):
        return None
    found = {match[0].lower() for match in _LEGAL.finditer(text)}
    return _with_rule(lines, start) if len(found) >= 2 else None


def _list_footer_start(lines: Sequence[Line]) -> int | None:
    """What a mailing list adds below a drawn line."""
    for i in range(len(lines) - 1, max(-1, len(lines) - 10), -1):
        if lines[i].quoted:
            return None
        if _is_drawn(lines[i]):
            below = " ".join(line.bare for line in lines[i + 1 :])
            return i if _LIST_FOOTER.search(below) else None
    return None


def _paragraph_start(lines: Sequence[Line]) -> int:
    start = len(lines)
    while start and not lines[start - 1].blank and len(lines) - start < _FOOTER_LINES:
        start -= 1
    return start


def _with_rule(lines: Sequence[Line], start: int) -> int:
    above = start - 1
    while above >= 0 and lines[above].blank:
        above -= 1
    return above if above >= 0 and _is_drawn(lines[above]) else start


def _is_drawn(line: Line) -> bool:
    return len(line.bare or line.text.strip()) >= 2 and not (line.bare or line.text).strip("_-=*~–— ")
