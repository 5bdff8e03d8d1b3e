"""The values of channels and of single addresses: what is set where, what is refused, what holds without."""

from datetime import time, timedelta
from pathlib import Path

import pytest

from gateway.domain.call_rules import Speech
from gateway.domain.message import Channel
from gateway.domain.send_rules import MAIL_ATTEMPTS, MAIL_WAITS, OnUnknown, SendRules
from gateway.service.routes import our_address, send_rules_of
from gateway.settings import (
    QuietHours,
    SmsProvider,
    VoiceMode,
)
from tests.unit.test_settings_configuration import DEMO, read, refusal


def test_values_of_channels_and_addresses(toml: Path) -> None:
    config = read(
        toml,
        DEMO
        + """
[channels.sms]
idle_ttl = "90s"
quiet_hours = "21:00-08:00"
max_parts = 3
segments_per_second = 10
on_unknown_first = "give_up"
validity = "5m"
[channels.api]
retention = "30d"
[[addresses]]
channel = "sms"
address = "+15550100"
idle_ttl = 15
number_parts = false
coalesce_seconds = 1.5
segments_per_second = 0.5
on_unknown = "give_up"
on_unknown_first = "resend"
cancel_unsent = true
resend_after = "20s"
[[addresses]]
channel = "sms"
address = "+15550101"
""",
    )
    sms = config.channel(Channel.SMS)
    assert (sms.idle_ttl, sms.retention, sms.max_parts) == (timedelta(seconds=90), None, 3)
    assert sms.quiet_hours == QuietHours(time(21), time(8))
    own = config.channel(Channel.SMS, "+1 555 0100")
    assert (own.idle_ttl, own.number_parts, own.coalesce_seconds) == (timedelta(seconds=15), False, 1.5)
    assert (own.max_parts, own.quiet_hours) == (3, sms.quiet_hours)
    rules = {address: send_rules_of(config, Channel.SMS, address) for address in ("+15550100", "+15550101")}
    assert rules["+15550100"] == SendRules(
        segments_per_second=0.5, resend_after=20, on_unknown=OnUnknown.GIVE_UP, cancel_unsent=True
    )
    assert (sms.validity, config.channel(Channel.EMAIL).validity) == (
        timedelta(minutes=5),
        timedelta(minutes=10),
    )
    assert rules["+15550101"] == SendRules(
        segments_per_second=10, resend_after=120, on_unknown_first=OnUnknown.GIVE_UP
    )
    mail = send_rules_of(config, Channel.EMAIL, "support@localhost")
    patience = timedelta(seconds=sum(mail.backoff(attempt) for attempt in range(1, mail.attempts)))
    assert timedelta(hours=46) < patience < timedelta(hours=49)
    assert config.channel(Channel.SMS, "+15550101") == config.channel(Channel.SMS, "+15550199") == sms
    web = config.channel(Channel.WEB)
    assert web == config.channel(Channel.API)
    assert (web.idle_ttl, web.retention) == (timedelta(hours=24), timedelta(days=30))


def test_mails_of_one_domain_are_bounded_far_above_what_people_write(toml: Path) -> None:
    config = read(
        toml,
        DEMO + '[[addresses]]\nchannel = "email"\naddress = "a@example.org"\ndomain_messages_per_hour = 20\n',
    )
    assert config.channel(Channel.EMAIL).domain_messages_per_hour == 10_000
    assert config.channel(Channel.EMAIL, "a@example.org").domain_messages_per_hour == 20


def test_mail_is_from_somebody_by_the_channel_or_the_mailbox(toml: Path) -> None:
    config = read(
        toml,
        DEMO
        + '[channels.email]\nfrom_name = " The Shop "\n'
        + '[[addresses]]\nchannel = "email"\naddress = "a@example.org"\nfrom_name = "Zoë"\n',
    )
    assert config.channel(Channel.EMAIL, "b@example.org").from_name == "The Shop"
    assert config.channel(Channel.EMAIL, "a@example.org").from_name == "Zoë"


@pytest.mark.parametrize("mode", [None, *VoiceMode])
def test_what_every_channel_has_may_be_repeated_at_every_address(toml: Path, mode: VoiceMode | None) -> None:
    """The contract's keys, also where they do nothing: a mailbox sends no parts."""
    keys = """
idle_ttl = "1h"
retention = "30d"
coalesce_seconds = 2
quiet_hours = "21:00-08:00"
max_parts = 3
number_parts = false
"""
    places = {"sms": "+15550100", "email": "support@example.org", "voice": "+15550100"}
    addresses = [
        f'[[addresses]]\nchannel = "{channel}"\naddress = "{address}"\n{keys}'
        for channel, address in places.items()
    ]
    how = "" if mode is None else f'voice_mode = "{mode}"\n'
    channels = [f"[channels.{channel}]\n{keys}" for channel in ("api", *places)]
    config = read(toml, DEMO + "".join(channels) + "".join(addresses) + how)
    for channel, address in places.items():
        values = config.channel(Channel(channel), address)
        assert (values.idle_ttl, values.retention) == (timedelta(hours=1), timedelta(days=30))
        assert (values.coalesce_seconds, values.max_parts, values.number_parts) == (2, 3, False)
        assert values.quiet_hours == QuietHours(time(21), time(8))


def test_a_whatsapp_sender_is_an_address_of_its_own_that_begins_nothing_unasked(toml: Path) -> None:
    config = read(
        toml,
        '[agents.a]\nkind = "demo"\n'
        '[[addresses]]\nchannel = "sms"\naddress = "whatsapp:+1 555 0100"\n'
        '[[addresses]]\nchannel = "sms"\naddress = "+15550100"\n',
    )
    whatsapp = config.address(Channel.SMS, "whatsapp:+15550100")
    assert whatsapp is not None
    assert whatsapp.address == "whatsapp:+15550100"
    assert whatsapp.provider is SmsProvider.TWILIO  # also where Telnyx's credentials alone are there
    number = our_address(config, Channel.SMS, None, None)
    assert number is not None
    assert (number.address, number.provider) == ("+15550100", None)
    assert our_address(config, Channel.SMS, "whatsapp:+15550100", None) == whatsapp


def test_what_is_said_when_nobody_answers_is_set_per_channel_and_address(toml: Path) -> None:
    config = read(
        toml,
        DEMO
        + """
[channels.sms]
failure_text = "Later."
handoff_timeout = "10m"
[[addresses]]
channel = "sms"
address = "+15550100"
handoff_timeout_action = "close"
handoff_timeout_text = "Nobody is free."
""",
    )
    channel = config.channel(Channel.SMS)
    assert (channel.failure_text, channel.handoff_timeout) == ("Later.", timedelta(minutes=10))
    assert (channel.handoff_timeout_action, channel.handoff_timeout_text) == ("return", None)
    address = config.channel(Channel.SMS, "+15550100")
    assert (address.failure_text, address.handoff_timeout_action) == ("Later.", "close")
    assert address.handoff_timeout_text == "Nobody is free."
    assert config.channel(Channel.API).handoff_timeout is None


def test_what_a_call_says_and_waits_for_is_set_per_channel_and_number(toml: Path) -> None:
    config = read(
        toml,
        DEMO
        + """
[channels.voice]
greeting_text = "Guten Tag."
language = "de-DE"
voice = "Polly.Vicki-Neural"
hold_music = "https://example.org/hold.mp3"
reminder_after_seconds = 12
[[addresses]]
channel = "voice"
address = "+15550100"
greeting_text = "Hier ist der Laden."
voice = "Google.de-AT-Wavenet-A"
max_reminders = 0
""",
    )
    usual, ours = config.channel(Channel.VOICE).calls, config.channel(Channel.VOICE, "+15550100").calls
    assert (usual.texts.greeting, ours.texts.greeting) == ("Guten Tag.", "Hier ist der Laden.")
    assert (usual.pace.reminder_after, usual.pace.max_reminders) == (12, 2)
    assert (ours.pace.reminder_after, ours.pace.max_reminders) == (12, 0)
    assert ours.texts.goodbye == "Goodbye."
    assert usual.speech == Speech(language="de-DE", voice="Polly.Vicki-Neural")
    assert ours.speech == Speech(language="de-DE", voice="Google.de-AT-Wavenet-A")
    assert ours.hold_music == "https://example.org/hold.mp3"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            DEMO + '[channels.sms]\ngreeting_text = "x"\n',
            "channels.sms: greeting_text belongs to calls (voice)",
        ),
        (
            DEMO + '[[addresses]]\nchannel = "sms"\naddress = "+15550100"\nmax_reminders = 1\n',
            "addresses[0]: max_reminders belongs to calls (voice)",
        ),
        (
            DEMO + '[channels.email]\nlanguage = "de-DE"\n',
            "channels.email: language belongs to calls (voice)",
        ),
        *(
            (
                DEMO + '[[addresses]]\nchannel = "voice"\naddress = "+15550100"\n'
                f'voice_mode = "{mode}"\n{name} = "{value}"\n',
                f"addresses[0]: {name} belongs to calls over Twilio (voice_mode relay or webhook)",
            )
            for mode in ("host", "jambonz")
            for name, value in (("language", "de-DE"), ("voice", "Polly.Vicki-Neural"))
        ),
        *(
            (
                DEMO + '[[addresses]]\nchannel = "voice"\naddress = "+15550100"\n'
                f'voice_mode = "host"\n{name} = {value}\n',
                f"addresses[0]: {name} belongs to calls that the gateway carries itself "
                "(voice_mode relay, webhook or jambonz); remove it here",
            )
            for name, value in (
                ("hold_music", '"https://example.org/hold.mp3"'),
                ("record_calls", "true"),
                ("ring_seconds", "30"),
                ("on_machine", '"hang_up"'),
                ("machine_text", '"x"'),
                ("confirm_text", '"x"'),
                ("caller_left_text", '"x"'),
                ("not_joined_text", '"x"'),
            )
        ),
        (
            DEMO + '[channels.voice]\nlanguage = "German"\n',
            "channels.voice.language: must be a language like de-DE (BCP 47), not 'German'",
        ),
        (
            DEMO + '[channels.voice]\nvoice = "alice"\n',
            "channels.voice.voice: must be a voice like Polly.Vicki-Neural, of Polly, Google, ElevenLabs, "
            "not 'alice'",
        ),
        (
            DEMO + '[channels.voice]\nfailure_text = "x"\n',
            "channels.voice: failure_text belongs to channels that are written on, not to calls",
        ),
        (
            DEMO + '[[addresses]]\nchannel = "voice"\naddress = "+15550100"\nhandoff_timeout = "1m"\n',
            "addresses[0]: handoff_timeout belongs to channels that are written on, not to calls",
        ),
        (
            DEMO + '[channels.sms]\nhandoff_timeout_action = "drop"\n',
            "channels.sms.handoff_timeout_action: must be 'return' or 'close', not 'drop'",
        ),
        (
            DEMO + '[channels.sms]\nfailure_text = ""\n',
            "channels.sms.failure_text: must not be empty, not ''",
        ),
    ],
)
def test_refused_texts_for_when_nobody_answers(toml: Path, text: str, lines: str) -> None:
    assert refusal(toml, text) == f"F: {lines}"


def test_the_defaults_of_channels(toml: Path) -> None:
    config = read(toml, "")
    assert {channel.value: config.channel(channel).idle_ttl for channel in Channel} == {
        "api": timedelta(hours=24),
        "web": timedelta(hours=24),
        "sms": timedelta(hours=72),
        "email": timedelta(days=30),
        "voice": timedelta(hours=1),
    }
    sms = config.channel(Channel.SMS)
    assert (sms.retention, sms.coalesce_seconds, sms.quiet_hours) == (None, 0, None)
    assert (sms.max_parts, sms.number_parts) == (5, True)
    assert send_rules_of(config, Channel.SMS, "+15550100") == SendRules(resend_after=120)
    mail = send_rules_of(config, Channel.EMAIL, "support@example.org")
    assert mail == SendRules(resend_after=20, attempts=MAIL_ATTEMPTS, waits=MAIL_WAITS, hold_seconds=0)
