"""What mail programs write around a quoted mail, by language: header names, separators, verbs, footers.

Words only; how they must stand together is said in `attribution`, `header_block` and `signature`. Sources are
the localisations of Outlook, Gmail, Apple Mail, Thunderbird, Yahoo, Zimbra, Zoho, Samsung and Mail.ru as seen
in mail. All in lower case.
"""

import re
from enum import Enum


class Field(Enum):
    """A header of a quoted mail, whatever it is called."""

    FROM = "from"
    DATE = "date"
    TO = "to"
    CC = "cc"
    SUBJECT = "subject"
    OTHER = "other"


_FIELD_NAMES = {
    Field.FROM: (
        "from|von|de|da|van|från|fra|od|от|від|lähettäjä|kimden|gönderen|feladó|saatja|από|мнение от|dari"
        "|từ|发件人|寄件者|寄件人|发件者|差出人|送信者|보낸 사람|보낸사람|מאת|من|از|expéditeur|mittente"
        "|absender|afzender|avsändare|remitente|remetente|nadawca|odesílatel|odosielateľ|expeditor"
        "|отправитель|de la|sender"
    ),
    Field.DATE: (
        "date|sent|sent on|sent at|date sent|received|gesendet|gesendet am|datum|date d'envoi|date d’envoi"
        "|envoyé|envoyé le|message du|enviado|enviado el|enviado em|enviada em|enviada|enviat|fecha|data"
        "|inviato|inviato il|data invio|verzonden|verzonden op|datum verzonden|skickat|skickades|sendt"
        "|sendt den|dato|wysłano|wysłane|data wysłania|odesláno|odoslané|dátum|отправлено|дата"
        "|дата отправления|дата отправки|надіслано|изпратено|lähetetty|päivämäärä|päiväys|gönderildi"
        "|gönderilme tarihi|gönderme tarihi|tarih|küldve|elküldve|trimis|poslano|poslato|saadetud|kuupäev"
        "|στάλθηκε|ημερομηνία|dikirim|tanggal|đã gửi|ngày|发送时间|发送日期|日期|时间|寄件日期|傳送日期"
        "|日時|送信日時|送信日|보낸 날짜|날짜|보낸날짜|נשלח|תאריך|تاريخ الإرسال|التاريخ|تم الإرسال|تاریخ"
    ),
    Field.TO: (
        "to|an|à|a|para|per|aan|till|til|do|komu|кому|до|vastaanottaja|kime|alıcı|címzett|către|catre"
        "|pentru|za|saaja|kellele|προς|kepada|đến|收件人|收件者|宛先|받는 사람|받는사람|אל|إلى|به"
        "|destinataire|destinatario|destinatário|empfänger|ontvanger|mottagare|odbiorca|příjemce"
        "|получатель|hasta"
    ),
    Field.CC: (
        "cc|bcc|c.c.|kopie|copie|copie à|copia|cópia|kopia|kopi|kopio|копия|копія|bilgi|másolat|másolatot kap"
        "|κοιν|κοινοποίηση|抄送|副本|密件抄送|참조|עותק|نسخة|cci|cco"
    ),
    Field.SUBJECT: (
        "subject|betreff|objet|sujet|asunto|assunto|oggetto|onderwerp|betreft|ämne|emne|temat|předmět"
        "|predmet|тема|относно|aihe|konu|tárgy|subiect|teema|zadeva|θέμα|assumpte|subjek|perihal|chủ đề"
        "|tiêu đề|主题|主題|主旨|件名|제목|נושא|الموضوع|موضوع"
    ),
    Field.OTHER: (
        "reply-to|reply to|antwort an|répondre à|responder a|rispondi a|importance|wichtigkeit|priority"
        "|priorität|attachments|anlagen|anhänge|pièces jointes|allegati|organization|sensitivity|ответить"
    ),
}
FIELDS = {name: kind for kind, names in _FIELD_NAMES.items() for name in names.split("|")}

ORIGINAL = frozenset(
    (  # noqa: SIM905 -- as a list each would have a line
        "original message|original e-mail|original email|original mail|original appointment|reply message"
        "|replied message|quoted message|ursprüngliche nachricht|ursprüngliche e-mail|originalnachricht"
        "|original-nachricht|urspr. nachricht|message d'origine|message d’origine|message original"
        "|message initial|e-mail d'origine|mensaje original|mensagem original|missatge original"
        "|messaggio originale|messaggio di origine|oorspronkelijk bericht|origineel bericht"
        "|ursprungligt meddelande|originalmeddelande|oprindelig meddelelse|oprindelig besked"
        "|original besked|opprinnelig melding|original melding|alkuperäinen viesti|wiadomość oryginalna"
        "|oryginalna wiadomość|treść oryginalnej wiadomości|původní zpráva|původní e-mail|pôvodná správa"
        "|eredeti üzenet|mesaj original|mesajul original|orijinal mesaj|özgün ileti|orijinal ileti"
        "|исходное сообщение|исходное письмо|оригинальное сообщение|вихідне повідомлення"
        "|оригінальне повідомлення|оригинално съобщение|πρωτότυπο μήνυμα|αρχικό μήνυμα|izvorna poruka"
        "|originalna poruka|izvirno sporočilo|algne kiri|pesan asli|thư gốc|原始邮件|原始郵件|回复的原邮件"
        "|元のメッセージ|原始信件|원본 메시지|원본 메일|הודעה מקורית|الرسالة الأصلية"
    ).split("|")
)
FORWARDED = frozenset(
    (  # noqa: SIM905 -- as a list each would have a line
        "forwarded message|forwarded mail|forwarded email|forward message|begin forwarded message"
        "|weitergeleitete nachricht|weitergeleitete e-mail|anfang der weitergeleiteten nachricht"
        "|anfang der weitergeleiteten e-mail|message transféré|message transfere|courriel transféré"
        "|début du message transféré|début du message réexpédié|mensaje reenviado"
        "|inicio del mensaje reenviado|mensagem encaminhada|mensagem reencaminhada"
        "|início da mensagem encaminhada|inicio da mensagem reenviada|messaggio inoltrato"
        "|inizio messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht"
        "|vidarebefordrat meddelande|vidarebefordrat brev|videresendt meddelelse|videresendt besked"
        "|videresendt melding|start på videresendt besked|välitetty viesti|wiadomość przekazana"
        "|przekazana wiadomość|początek przekazanej wiadomości|přeposlaná zpráva|preposlaná správa"
        "|továbbított üzenet|továbbított levél|mesaj redirecționat|mesaj redirectionat"
        "|yönlendirilmiş ileti|iletilen ileti|yönlendirilen mesaj|пересылаемое сообщение"
        "|пересылаемое письмо|переадресованное сообщение|перенаправленное сообщение"
        "|начало переадресованного сообщения|переслане повідомлення|препратено съобщение|προωθημένο μήνυμα"
        "|proslijeđena poruka|posredovano sporočilo|edastatud kiri|pesan terusan|thư chuyển tiếp"
        "|转发的邮件|轉寄郵件|轉寄的郵件|转发邮件|转发邮件信息|転送メッセージ|転送されたメッセージ"
        "|전달된 메시지|전달된 메일|הודעה שהועברה|رسالة معاد توجيهها|رسالة محولة"
    ).split("|")
)
FORWARD_SUBJECT = re.compile(
    r"\s{0,9}(?:fwd?|wg|tr|rv|enc|i|doorst|vs|vl|vb|pd|továbbítás|tov|ilt|i̇lt|fs|пересл|转发|轉寄|転送|전달)"
    r"\s?[:：]",
    re.IGNORECASE,
)

WROTE = re.compile(
    r"(?<!\w)(?:wrote|writes|said|schrieb|geschrieben|geschreven|schreibt|(?:a )?écrit|escribió|escribio"
    r"|va escriure|escreveu|(?:ha )?scritto|schreef|skrev|kirjoitti|kirjutas|napisał\(?[aoeoy]?\)?"
    r"|napisal\(?[aoi]?\)?|napsal\(?a?\)?|napísal\(?a?\)?|napisao(?: je)?|napisala(?: je)?|missatge de"
    r"|написал\(?[аи]?\)?|написав\(?(?:ла)?\)?|написал?а?|пишет|пише|писал\(?а\)?|yazdı|yazmış|scris|írta"
    r"|έγραψε|menulis|viết|rašė|rakstīja|כתב(?:ה)?|كتب|كتابة ما يلي بواسطة|نوشت|quoting|zitat von|zitiere"
    r"|citando(?: a)?|citation de|citerar|citat fra|เขียนว่า|님이 작성|작성)(?!\w)|写道|寫道|のメール"
    r"|さんは書きました|來信|作成:|님이 씀|님의 말",
    re.IGNORECASE,
)
OPENER = re.compile(
    r"(?:on|at|am|den|op|le|el|il|em|a|på|dnia|w dniu|dne|dňa|în|pe|la|ha|in data|in een bericht|vào|στις"
    r"|на|в|у|v|u|pada|tarihinde|le|in article|em data|no dia|el día|il giorno|ngày|在|于|於|في|بتاريخ|בתאריך"
    r"|ב-|(?:mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|mié|mie|jeu|gio|jue|ven|vie|sam|sab|sáb|dim|dom|seg"
    r"|ter|qua|qui|sex|mo|di|mi|do|fr|sa|so|ma|wo|vr|za|zo|tir|man|tor|fre|lør|søn|mån|tis|ons|lör|sön|pon"
    r"|wt|śr|czw|pt|sob|ndz|niedz|po|út|st|čt|pá|ne|пн|вт|ср|чт|пт|сб|вс|нд|нд|ma|ti|ke|to|pe|la"
    r"|su)[a-zà-žа-я]{0,8}\.?,?)\s",
    re.IGNORECASE,
)
"""How the line above a quotation may begin: "on" or a weekday."""
SPEAKS = re.compile(
    r"(?<!\w)(?:i|i['’]m|we|you(?! wrote)|he|she|they|please|ich|wir|bitte|nous|vous|yo)(?![\w.@])",
    re.IGNORECASE,
)
"""Words of a sentence rather than of a line that names who wrote."""
