"""Replies as many programs write them, in many languages: history is cut, the sender's text is kept."""

# ruff: noqa: E501 -- mails are lines as they are

import pytest

from channels.email.html_text import html_lines
from channels.email.trim import Trimmed, trim, trim_lines

ATTRIBUTIONS = {
    "en gmail": "On Mon, Nov 23, 2026 at 9:00 AM Jo Doe <jo@example.org> wrote:",
    "en apple": "On Nov 23, 2026, at 09:00, Jo Doe <jo@example.org> wrote:",
    "en thunderbird": "On 11/23/26 09:00, Jo Doe wrote:",
    "en yahoo": "On Monday, November 23, 2026 at 09:00:00 AM GMT+1, Jo Doe <jo@example.org> wrote: ",
    "en zoho": "---- On Mon, 23 Nov 2026 09:00:00 +0100 Jo Doe <jo@example.org> wrote ----",
    "en proton": "On Monday, November 23rd, 2026 at 9:00 AM, Jo Doe <jo@example.org> wrote:",
    "en address alone": "2026-11-23 9:00 GMT+01:00 Jo Doe <jo@example.org>:",
    "en horde": "Quoting Jo Doe <jo@example.org>:",
    "en no date": "Jo Doe <jo@example.org> wrote:",
    "de gmail": "Am Mo., 23. Nov. 2026 um 09:00 Uhr schrieb Jo Doe <jo@example.org>:",
    "de apple": "Am 23.11.2026 um 09:00 schrieb Jo Doe <jo@example.org>:",
    "de mobile": "Jo Doe <jo@example.org> schrieb am Mo., 23. Nov. 2026, 09:00:",
    "de horde": "Zitat von Jo Doe <jo@example.org>:",
    "fr gmail": "Le lun. 23 nov. 2026 à 09:00, Jo Doe <jo@example.org> a écrit :",
    "fr apple": "Le 23 nov. 2026 à 09:00, Jo Doe <jo@example.org> a écrit :",
    "es gmail": "El lun, 23 nov 2026 a las 9:00, Jo Doe (<jo@example.org>) escribió:",
    "it gmail": "Il giorno lun 23 nov 2026 alle ore 09:00 Jo Doe <jo@example.org> ha scritto:",
    "pt gmail": "Em seg., 23 de nov. de 2026 às 09:00, Jo Doe <jo@example.org> escreveu:",
    "pt pt": "Jo Doe <jo@example.org> escreveu no dia segunda, 23/11/2026 à(s) 09:00:",
    "nl gmail": "Op ma 23 nov 2026 om 09:00 schreef Jo Doe <jo@example.org>:",
    "nl apple": "Op 23 nov. 2026, om 09:00 heeft Jo Doe <jo@example.org> het volgende geschreven:",
    "sv gmail": "Den mån 23 nov. 2026 kl 09:00 skrev Jo Doe <jo@example.org>:",
    "sv apple": "23 nov. 2026 kl. 09:00 skrev Jo Doe <jo@example.org>:",
    "da gmail": "Den man. 23. nov. 2026 kl. 09.00 skrev Jo Doe <jo@example.org>:",
    "no gmail": "man. 23. nov. 2026 kl. 09:00 skrev Jo Doe <jo@example.org>:",
    "fi gmail": "ma 23. marrask. 2026 klo 9.00 Jo Doe (jo@example.org) kirjoitti:",
    "pl gmail": "pon., 23 lis 2026 o 09:00 Jo Doe <jo@example.org> napisał(a):",
    "pl older": "W dniu 23 listopada 2026 09:00 użytkownik Jo Doe <jo@example.org> napisał:",
    "cs gmail": "po 23. 11. 2026 v 9:00 odesílatel Jo Doe <jo@example.org> napsal:",
    "sk gmail": "po 23. 11. 2026 o 9:00 Jo Doe <jo@example.org> napísal(a):",
    "hu gmail": "Jo Doe <jo@example.org> ezt írta (időpont: 2026. nov. 23., H, 9:00):",
    "ro gmail": "În lun., 23 nov. 2026 la 09:00, Jo Doe <jo@example.org> a scris:",
    "tr gmail": "Jo Doe <jo@example.org>, 23 Kas 2026 Pzt, 09:00 tarihinde şunu yazdı:",
    "ru gmail": "пн, 23 нояб. 2026 г. в 09:00, Jo Doe <jo@example.org>:",
    "ru mail.ru": "Понедельник, 23 ноября 2026, 9:00 +03:00 от Jo Doe <jo@example.org>:",
    "ru yandex": "23.11.2026, 09:00, \"Jo Doe\" <jo@example.org>:",
    "ru thunderbird": "23.11.2026 9:00, Jo Doe пишет:",
    "uk gmail": "пн, 23 лист. 2026 р. о 09:00 Jo Doe <jo@example.org> пише:",
    "bg gmail": "На пн, 23.11.2026 г. в 9:00 Jo Doe <jo@example.org> написа:",
    "el gmail": "Στις Δευ 23 Νοε 2026 στις 9:00 π.μ., ο χρήστης Jo Doe <jo@example.org> έγραψε:",
    "hr gmail": "pon, 23. stu 2026. u 09:00 Jo Doe <jo@example.org> napisao je:",
    "he gmail": "\u202bבתאריך יום ב׳, 23 בנוב׳ 2026 ב-9:00 מאת \u202aJo Doe\u202c\u200f <\u202ajo@example.org\u202c\u200f>:\u202c",
    "ar gmail": "في الاثنين، 23 نوفمبر 2026 في 9:00 ص تمت كتابة ما يلي بواسطة Jo Doe <jo@example.org>:",
    "zh gmail": "Jo Doe <jo@example.org> 于2026年11月23日周一 09:00写道：",
    "zh netease": "在 2026-11-23 09:00:00，\"Jo Doe\" <jo@example.org> 写道：",
    "ja gmail": "2026年11月23日(月) 9:00 Jo Doe <jo@example.org>:",
    "ko gmail": "2026년 11월 23일 (월) 오전 9:00, Jo Doe <jo@example.org>님이 작성:",
    "vi gmail": "Vào Th 2, 23 thg 11, 2026 vào lúc 09:00 Jo Doe <jo@example.org> đã viết:",
    "id gmail": "Pada Sen, 23 Nov 2026 pukul 09.00 Jo Doe <jo@example.org> menulis:",
    "ca gmail": "Missatge de Jo Doe <jo@example.org> del dia dl., 23 de nov. 2026 a les 9:00:",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTRIBUTIONS)
@pytest.mark.parametrize("mark", ["> ", ""])
def test_an_attribution_begins_the_history(name: str, mark: str) -> None:
    trimmed = trim(f"Yes, do that.\n\nThanks\n\n{ATTRIBUTIONS[name]}\n\n{mark}Shall I?\n{mark}Jo")
    assert trimmed.new_text == "Yes, do that.\n\nThanks"
    assert trimmed.quoted_text.startswith(ATTRIBUTIONS[name].rstrip())


WRAPPED = [
    "On Mon, Nov 23, 2026 at 9:00 AM Jo Doe\n<jo@example.org> wrote:",
    "On Mon, Nov 23, 2026 at 9:00 AM Jo Doe <jo@example.org>\nwrote:",
    "On Nov 23, 2026,\nat 09:00,\nJo Doe <jo@example.org>\nwrote:",
    "Am Mo., 23. Nov. 2026 um 09:00 Uhr schrieb Jo Doe <\njo@example.org>:",
    "Le lun. 23 nov. 2026 à 09:00, Jo Doe <jo@example.org> a\nécrit :",
    "man. 23. nov. 2026 kl. 09:00 skrev Jo Doe <jo@example.org\n>:",
    "W dniu pon., 23.11.2026 o 09:00\nJo Doe <jo@example.org> napisał(a):",
    "ср, 30 апр. 2025 г. в 15:19, Jo Doe <\njo@example.org>:",
]


@pytest.mark.parametrize("header", WRAPPED)
def test_an_attribution_may_be_wrapped(header: str) -> None:
    for mark in ("> ", ""):
        assert trim(f"Yes.\n\n{header}\n\n{mark}Shall I?").new_text == "Yes."


BLOCKS = {
    "en": "From: Jo Doe <jo@example.org>\nSent: Monday, November 23, 2026 9:00 AM\nTo: Ana\nSubject: RE: X",
    "en bold": "*From:* Jo Doe\n*Sent:* Monday\n*To:* Ana\n*Subject:* X",
    "en two": "From: Jo Doe <jo@example.org>\nDate: Mon, 23 Nov 2026",
    "en mac": "From: Jo Doe <jo@example.org>\nDate: Monday, 23 November 2026 at 09:00\nTo: Ana\nSubject: Re: X",
    "de": "Von: Jo Doe <jo@example.org>\nGesendet: Montag, 23. November 2026 09:00\nAn: Ana\nBetreff: AW: X",
    "fr": "De : Jo Doe <jo@example.org>\nEnvoyé : lundi 23 novembre 2026 09:00\nÀ : Ana\nObjet : RE: X",
    "es": "De: Jo Doe <jo@example.org>\nEnviado el: lunes, 23 de noviembre de 2026 9:00\nPara: Ana\nAsunto: RE: X",
    "it": "Da: Jo Doe <jo@example.org>\nInviato: lunedì 23 novembre 2026 09:00\nA: Ana\nOggetto: R: X",
    "pt": "De: Jo Doe <jo@example.org>\nEnviada em: segunda-feira, 23 de novembro de 2026\nPara: Ana\nAssunto: RES: X",
    "nl": "Van: Jo Doe <jo@example.org>\nVerzonden: maandag 23 november 2026 09:00\nAan: Ana\nOnderwerp: RE: X",
    "sv": "Från: Jo Doe <jo@example.org>\nSkickat: den 23 november 2026 09:00\nTill: Ana\nÄmne: SV: X",
    "da": "Fra: Jo Doe <jo@example.org>\nSendt: 23. november 2026 09:00\nTil: Ana\nEmne: SV: X",
    "fi": "Lähettäjä: Jo Doe <jo@example.org>\nLähetetty: maanantai 23. marraskuuta 2026\nVastaanottaja: Ana\nAihe: VS: X",
    "pl": "Od: Jo Doe <jo@example.org>\nWysłano: poniedziałek, 23 listopada 2026 09:00\nDo: Ana\nTemat: RE: X",
    "cs": "Od: Jo Doe <jo@example.org>\nOdesláno: pondělí 23. listopadu 2026 9:00\nKomu: Ana\nPředmět: RE: X",
    "hu": "Feladó: Jo Doe <jo@example.org>\nElküldve: 2026. november 23., hétfő 9:00\nCímzett: Ana\nTárgy: RE: X",
    "tr": "Kimden: Jo Doe <jo@example.org>\nGönderildi: 23 Kasım 2026 Pazartesi 09:00\nKime: Ana\nKonu: YNT: X",
    "ru": "От: Jo Doe <jo@example.org>\nОтправлено: 23 ноября 2026 г. 9:00\nКому: Ana\nТема: RE: X",
    "uk": "Від: Jo Doe <jo@example.org>\nНадіслано: 23 листопада 2026 р. 9:00\nКому: Ana\nТема: RE: X",
    "el": "Από: Jo Doe <jo@example.org>\nΣτάλθηκε: Δευτέρα, 23 Νοεμβρίου 2026\nΠρος: Ana\nΘέμα: RE: X",
    "zh": "发件人: Jo Doe <jo@example.org>\n发送时间: 2026年11月23日 9:00\n收件人: Ana\n主题: 答复: X",
    "ja": "差出人: Jo Doe <jo@example.org>\n送信日時: 2026年11月23日 9:00\n宛先: Ana\n件名: RE: X",
    "ko": "보낸 사람: Jo Doe <jo@example.org>\n보낸 날짜: 2026년 11월 23일\n받는 사람: Ana\n제목: RE: X",
    "he": "מאת: Jo Doe <jo@example.org>\nנשלח: יום שני 23 נובמבר 2026\nאל: Ana\nנושא: RE: X",
    "one line": "From: Jo Doe [mailto:jo@example.org] Sent: Monday, 23 Nov 2026 To: Ana Subject: RE: X",
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(
    "rule", ["", "________________________________\n", "-----Original Message-----\n", "=====\n\n"]
)
def test_a_block_of_headers_begins_the_history(name: str, rule: str) -> None:
    assert trim(f"Yes.\n\n{rule}{BLOCKS[name]}\n\nShall I?\n\nJo").new_text == "Yes."


SEPARATORS = [
    "-----Original Message-----", "-------- Original message --------", "----- Reply message -----",
    "-----Ursprüngliche Nachricht-----", "-------- Message d'origine --------", "----- Mensaje original -----",
    "----- Mensagem original -----", "-----Messaggio originale-----", "-----Oorspronkelijk bericht-----",
    "-----Ursprungligt meddelande-----", "-----Oprindelig meddelelse-----", "-----Opprinnelig melding-----",
    "-----Alkuperäinen viesti-----", "-----Wiadomość oryginalna-----", "-----Původní zpráva-----",
    "-----Eredeti üzenet-----", "-----Orijinal Mesaj-----", "-----Исходное сообщение-----",
    "------------------ 原始邮件 ------------------", "-----元のメッセージ-----", "-----원본 메시지-----",
]  # fmt: skip


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_separator_begins_the_history(separator: str) -> None:
    assert trim(f"Yes.\n\n{separator}\nWhatever\nfollows").new_text == "Yes."


FORWARDS = [
    "---------- Forwarded message ---------\nFrom: Jo <jo@example.org>\nDate: Mon\nSubject: X\nTo: Ana\n\nHello",
    "Begin forwarded message:\n\nFrom: Jo <jo@example.org>\nSubject: X\nDate: 23 Nov 2026\nTo: Ana\n\nHello",
    "Begin forwarded message:\n\n> From: Jo <jo@example.org>\n> Subject: X\n>\n> Hello",
    "-------- Weitergeleitete Nachricht --------\nBetreff: X\nVon: Jo\n\nHallo",
    "---------- Message transféré ---------\nDe : Jo\n\nBonjour",
    "-------- Пересылаемое сообщение --------\n23.11.2026, 09:00, Jo <jo@example.org>:\n\nПривет",
]


@pytest.mark.parametrize("forward", FORWARDS)
@pytest.mark.parametrize("above", ["Can you answer this?\n\n", ""])
def test_a_forward_is_kept_whole(forward: str, above: str) -> None:
    assert trim(above + forward) == Trimmed(above + forward, "", True)


def test_a_forward_that_was_answered_is_history() -> None:
    text = "Done.\n\nOn 23.11.2026 Jo <jo@example.org> wrote:\n> Begin forwarded message:\n>\n> From: Bo\n> Hello"
    assert trim(text).new_text == "Done."


MOBILE = [
    "Sent from my iPhone", "Sent from my Galaxy", "Sent from Mail for Windows 10", "Sent from Yahoo Mail on Android",
    "Get Outlook for iOS<https://aka.ms/o0ukef>", "Sent with Proton Mail secure email.", "Von meinem iPhone gesendet",
    "Gesendet von Outlook für Android", "Envoyé de mon iPhone", "Envoyé depuis mon mobile", "Enviado desde mi iPhone",
    "Enviado do meu iPhone", "Inviato da iPhone", "Verzonden vanaf mijn iPhone", "Skickat från min iPhone",
    "Sendt fra min iPhone", "Lähetetty iPhonesta", "Wysłane z iPhone'a", "Odesláno z iPhonu", "iPhone'umdan gönderildi",
    "Отправлено с iPhone", "发自我的iPhone", "iPhoneから送信", "나의 iPhone에서 보냄",
]  # fmt: skip


@pytest.mark.parametrize("line", MOBILE)
def test_what_a_telephone_adds_is_cut(line: str) -> None:
    assert trim(f"Yes.\n\n{line}\n\nOn Nov 23, 2026, Jo <jo@x.org> wrote:\n> Shall I?").new_text == "Yes."


KEPT = {
    "date and time": "Meet me on 23.11.2026 at 09:00:\nthe station, track 4.",
    "an address to write to": "Please write by 23.11.2026 to jo@example.org:\nshe knows.",
    "who wrote what": "On 23 November we got a letter. They wrote:\nno.",
    "I wrote": "On 23.11.2026 I wrote:\nhello, and nobody answered.",
    "a time and a name": "Call me at 9:00:\n+49 170 1234567",
    "a list of keys": "To: the left\nFrom: the right\nand then straight on",
    "an order": "Date: 23.11.2026\nSubject: chairs\nNumber: 4",
    "a name below": "Yes.\n\nKind regards\nAna",
    "a rule": "One.\n\n__________\n\nTwo.",
    "many dashes": "One\n--\n" + "two\n" * 40 + "three",
    "sent from": "The parcel was sent from my office, not from the warehouse.",
    "a quote without header and text below": "> Shall I?\n\nYes.",
    "a code": "```\n> git status\n```\nThat fails.",
    "confidential": "This is confidential.\n\nPlease tell nobody.",
    "outside": "CAUTION: the door outside the office is open.\n\nAna",
    "legal words": "I consider you liable, and it is strictly prohibited to disclose what is confidential here.",
    "a rule of markdown": "One.\n---\nTwo.",
    "a rule and much text": "One.\n--\n" + "Then there is another thing that I would like to know. " * 3,
    "unsubscribe": "I want to unsubscribe.\nNow.",
}


@pytest.mark.parametrize("name", KEPT)
def test_the_senders_own_words_are_kept(name: str) -> None:
    assert trim(KEPT[name]).new_text == KEPT[name].rstrip()


def test_answers_within_a_quotation_are_kept_with_it() -> None:
    text = (
        "See below.\n\nOn Nov 23, 2026, Jo <jo@x.org> wrote:\n> First?\n\nYes.\n\n> Second?\n\nNo.\n\n"
        "> Thanks\n> Jo\n\n-- \nAna"
    )
    trimmed = trim(text)
    assert trimmed.new_text.endswith("> First?\n\nYes.\n\n> Second?\n\nNo.")
    assert trimmed.quoted_text.startswith("> Thanks")


def test_a_short_answer_below_a_long_question_is_an_answer() -> None:
    text = (
        "On Nov 23, 2026, Jo <jo@x.org> wrote:\n> "
        + "Do you want the blue one or " * 4
        + "the red one?\nblue\n> ok"
    )
    assert "\nblue" in trim(text).new_text


def test_an_answer_below_the_quotation_stands_alone() -> None:
    trimmed = trim("On Nov 23, 2026, Jo <jo@x.org> wrote:\n> Shall I?\n> Jo\n\nYes.\n\nAna")
    assert trimmed.new_text == "Yes.\n\nAna"
    assert trimmed.quoted_text.startswith("On Nov 23")


def test_a_legal_notice_and_a_warning_are_cut() -> None:
    text = (
        "CAUTION: This email originated from outside of the organization. Do not click links.\n\nYes.\n\n"
        "________________________________\nThis e-mail is confidential and intended solely for the addressee. "
        "If you have received this message in error, please notify the sender and delete it."
    )
    assert trim(text).new_text == "Yes."


def test_a_list_footer_is_cut() -> None:
    footer = "_" * 40 + "\nusers mailing list\nusers@lists.example.org"
    assert trim(f"Yes.\n\n{footer}").new_text == "Yes."
    assert trim(f"Yes.\n\nOn 1.1.2026, Jo <jo@x.org> wrote:\n> Shall I?\n\n{footer}").new_text == "Yes."


BODY = "<p>Shall I?</p><p>Jo</p>"
CLIENTS = {
    "gmail": '<div dir="ltr">Yes.</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">'
    'whatever it says<br></div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex">' + BODY + "</blockquote></div>",
    "gmail with signature": '<div>Yes.</div><div><br></div><span class="gmail_signature_prefix">-- </span><br>'
    '<div dir="ltr" class="gmail_signature" data-smartmail="gmail_signature">Ana<br>Example Ltd</div>',
    "outlook web": '<div class="elementToProof">Yes.</div><div id="appendonsend"></div><hr style="width:98%"><div id="divRplyFwdMsg">'
    "<b>Mysterious:</b> Jo</div><div>" + BODY + "</div>",
    "outlook web, prefixed": '<div>Yes.</div><div id="x_x_divRplyFwdMsg"><b>A:</b> Jo</div>' + BODY,
    "outlook": '<div class="WordSection1"><p class="MsoNormal">Yes.</p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt;'
    'padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>Xa:</b> Jo<br><b>Xb:</b> 1<br><b>Xc:</b> Ana<br></p></div></div>'
    + BODY + "</div>",
    "outlook 2003": '<div>Yes.</div><div class="OutlookMessageHeader" align="left"><hr>Whatever</div>' + BODY,
    "outlook mobile": '<div>Yes.</div><div id="ms-outlook-mobile-signature">Get Outlook for iOS</div><div '
    'id="mail-editor-reference-message-container"><div>Xa: Jo</div>' + BODY + "</div>",
    "apple": '<div>Yes.</div><div><br><blockquote type="cite"><div>On Nov 23, 2026, at 09:00, Jo &lt;jo@x.org&gt; wrote:</div><br>'
    + BODY + "</blockquote></div><br>",
    "ios": '<div>Yes.<br><br><div dir="ltr">Sent from my iPhone</div><div dir="ltr"><br><blockquote type="cite">On Nov 23, 2026, '
    'at 09:00, Jo &lt;jo@x.org&gt; wrote:<br><br></blockquote></div><blockquote type="cite"><div>' + BODY + "</div></blockquote></div>",
    "thunderbird": '<p>Yes.</p><div class="moz-cite-prefix">whatever it says<br></div><blockquote type="cite" cite="mid:x">'
    + BODY + "</blockquote><pre class='moz-signature'>-- \nAna</pre>",
    "yahoo": '<div class="ydp1yahoo-style-wrap"><div>Yes.</div></div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>Whatever</div>'
    "<div>" + BODY + "</div></div>",
    "proton": '<div>Yes.</div><div class="protonmail_signature_block"><div>Sent with Proton Mail</div></div><div '
    'class="protonmail_quote">whatever it says<br><blockquote class="protonmail_quote" type="cite">' + BODY + "</blockquote></div>",
    "zoho": '<div>Yes.<br></div><div class="zmail_extra"><div id="Zm-_Id_-Sgn1">---- x ----<br></div><blockquote>' + BODY
    + "</blockquote></div>",
    "zimbra": '<div>Yes.</div><hr id="zwchr" data-marker="__DIVIDER__"><div data-marker="__HEADERS__"><b>Xa: </b>Jo</div>' + BODY,
    "roundcube": '<p>Yes.</p><p id="reply-intro">whatever it says</p><blockquote type="cite">' + BODY + "</blockquote>",
    "hotmail": '<div>Yes.</div><hr id="stopSpelling">' + BODY,
    "spark": '<div name="messageBodySection">Yes.</div><div name="messageReplySection">whatever it says<br><blockquote type="cite">'
    + BODY + "</blockquote></div>",
    "hidden": '<div style="display:none">preview text</div><div>Yes.</div>',
}  # fmt: skip


@pytest.mark.parametrize("name", CLIENTS)
def test_what_the_html_says_is_history_is_cut(name: str) -> None:
    assert trim_lines(html_lines(f"<html><body>{CLIENTS[name]}</body></html>")).new_text == "Yes."


def test_html_answers_within_a_quotation_are_kept() -> None:
    html = (
        '<div>See below.</div><div class="gmail_quote"><div class="gmail_attr">On it, Jo wrote:<br></div><blockquote '
        'class="gmail_quote"><p>First?</p></blockquote><div>Yes.</div><blockquote class="gmail_quote"><p>Second?</p>'
        "</blockquote><div>No.</div></div>"
    )
    assert trim_lines(html_lines(html)).new_text == (
        "See below.\nOn it, Jo wrote:\n\n> First?\n\nYes.\n\n> Second?\n\nNo."
    )


def test_an_html_forward_is_kept_whole() -> None:
    html = (
        '<div>Please look.</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>'
        "From: Jo<br>Subject: X<br></div><p>Hello</p></div>"
    )
    trimmed = trim_lines(html_lines(html))
    assert trimmed.forwarded
    assert trimmed.new_text.endswith("Hello")


def test_an_indented_paragraph_is_no_quotation() -> None:
    html = '<div>Look:</div><blockquote style="margin:0 0 0 40px;border:none;padding:0px"><div>mine</div></blockquote>'
    assert trim_lines(html_lines(html)).new_text == "Look:\nmine"


@pytest.mark.parametrize(
    ("html", "new"),
    [
        ("<p>I propose:</p><blockquote>mine</blockquote>", "I propose:\n\n> mine"),
        ("<p>Yes.</p><blockquote>Really?</blockquote>", "Yes."),
        ("<p>I propose:</p><blockquote type='cite'>Really?</blockquote>", "I propose:"),
        ("<p>Yes.</p><p>On 23.11.2026 Jo wrote:</p><blockquote>Really?</blockquote>", "Yes."),
    ],
)
def test_what_the_sender_leads_to_is_the_senders(html: str, new: str) -> None:
    assert trim_lines(html_lines(html)).new_text == new


def test_a_drawn_line_alone_is_no_block_of_headers() -> None:
    html = '<p>One</p><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p>Two</p></div><p>Three</p>'
    assert trim_lines(html_lines(html)).new_text == "One\n\nTwo\n\nThree"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>a<div>b</div></b></span>c</div>d", "a\nb\nc\nd"),
        ("<p>a<p>b</p></p>c", "a\n\nb\n\nc"),
        ("<table><tr><td>a</div></td><td>b</td></tr></table>", "a b"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n> > b"),
        ("<div>" * 500 + "a" + "</div>" * 500 + "b", "a\nb"),
        ("<p hidden=\"a>b\">c", "c"),
    ],
)  # fmt: skip
def test_broken_html_is_read_as_a_browser_shows_it(html: str, text: str) -> None:
    assert "\n".join(line.text for line in html_lines(html)).strip("\n") == text
