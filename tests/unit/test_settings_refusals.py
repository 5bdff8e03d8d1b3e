"""gateway.toml refused: word for word, and whatever is in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import (
    SettingsError,
    load_config,
)
from gateway.settings.tables import MAX_FILE_BYTES
from tests.unit.test_settings_configuration import DEMO, refusal

ORIGINS = (
    *("*", "https://*.example", "https://shop.example/", "https://Shop.example", "null"),
    *("https://shop.example:443", "https://a@shop.example", "ftp://shop.example"),
)


SMS = '[[addresses]]\nchannel = "sms"\naddress = "+15550100"\n'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = " + "[" * 5000, "F: nested too deeply"),
        (
            "[organization]",
            "F: organization: unknown key; nearest valid name: organisation",
        ),
        ("[channels.fax]", "F: channels.fax: unknown key; valid names: api, email, sms, voice, web"),
        *(
            (
                f'[channels.web]\norigins = ["{origin}"]',
                "F: channels.web.origins[0]: must be an origin like https://shop.example, "
                f"without a path or wildcard, not '{origin}'",
            )
            for origin in ORIGINS
        ),
        (
            '[channels.sms]\nmaxparts = 2\nidle_ttl = "soon"\nnumber_parts = "perhaps"',
            'F: channels.sms.idle_ttl: must be a duration like "72h", "30d", "90s" or a number of seconds, '
            "not 'soon'\n"
            "F: channels.sms.number_parts: must be true or false, not 'perhaps'\n"
            "F: channels.sms.maxparts: unknown key; nearest valid name: max_parts",
        ),
        (
            "[channels.sms]\nmax_parts = true",
            "F: channels.sms.max_parts: must be a number, not True",
        ),
        *(
            (
                f"[channels.sms]\nresend_after = {seconds}",
                f"F: channels.sms.resend_after: must be between 20 s and 10 minutes, not {seconds}",
            )
            for seconds in (19, 601)
        ),
        *(
            (
                f"[channels.sms]\nvalidity = {seconds}",
                f"F: channels.sms.validity: must be between 10 s and 10 hours, not {seconds}",
            )
            for seconds in (9, 36_001)
        ),
        (
            '[[addresses]]\nchannel = "sms"\nagent = "a"\naddress = "whatsapp:+15550100"\n'
            'provider = "telnyx"\nfailover = ["+15550101"]\n'
            '[[addresses]]\nchannel = "sms"\nagent = "a"\naddress = "+15550101"\n[agents.a]\nkind = "demo"',
            "F: addresses[0].provider: WhatsApp is carried by twilio only\n"
            "F: addresses[0].failover: a number and a WhatsApp sender cannot stand in for each other",
        ),
        (
            '[channels.email]\nvalidity = "5m"',
            "F: channels.email: validity belongs to text messages (sms)",
        ),
        (
            "[channels.sms]\ndomain_messages_per_hour = 10",
            "F: channels.sms: domain_messages_per_hour belongs to mail (email)",
        ),
        (
            '[channels.email]\nfrom_name = "a\\nBcc: b"',
            "F: channels.email.from_name: must be text on one line, not 'a\\nBcc: b'",
        ),
        (
            "[channels.voice]\nsegments_per_second = 1",
            "F: channels.voice: segments_per_second belongs to channels that are written on, not to calls",
        ),
        (
            "[channels.sms]\nidle_ttl = 0",
            "F: channels.sms.idle_ttl: must be a duration of more than 0 s and at most 3650 days, not 0",
        ),
        (
            '[channels.sms]\nquiet_hours = "21-8"',
            'F: channels.sms.quiet_hours: must be two different times of the day like "21:00-08:00", '
            "not '21-8'",
        ),
        (
            "[gateway]\ndatabse_url = 'x'",
            "F: gateway.databse_url: unknown key; nearest valid name: database_url",
        ),
        (
            '[agents.a]\nkind = "demo"\nurl = "x"',
            "F: agents.a.url: unknown key; valid names: input_price, output_price, policies, transfers",
        ),
        ("[agents.a]", "F: agents.a.kind: missing; one of demo, flow, http, llm, python"),
        (
            '[agents.a]\nkind = "graph"',
            "F: agents.a.kind: no such kind of agent: 'graph'; one of demo, flow, http, llm, python",
        ),
        (
            '[agents.a]\nkind = "htp"',
            "F: agents.a.kind: no such kind of agent: 'htp'; nearest valid kind: http",
        ),
        ("[agents]\na = 3", "F: agents.a: must be a table, not 3"),
        (
            '[agents."a.b\\n"]\nkind = "demo"',
            "F: agents.'a.b\\n': an agent's name must have 1 to 128 printable characters",
        ),
        ('[agents.a]\nkind = "http"', "F: agents.a.url: missing"),
        (
            '[agents.a]\nkind = "python"\ntarget = "shop.agent"',
            "F: agents.a.target: must be package.module:function, not 'shop.agent'",
        ),
        (
            '[agents.a]\nkind = "llm"\nmodel = "test"\n[[agents.a.policies]]\ntoool = "x"\naction = "ask"',
            "F: agents.a.policies[0].action: must be 'block', 'require_approval' or 'redact', not 'ask'\n"
            "F: agents.a.policies[0].toool: unknown key; nearest valid name: tool",
        ),
        (
            '[agents.a]\nkind = "demo"\n[agents.a.transfers.x]\ndestination = "desk"\nmod = "warm"',
            "F: agents.a.transfers.x.destination: must be a phone number in E.164 or a sip: URI, not 'desk'\n"
            "F: agents.a.transfers.x.mod: unknown key; nearest valid name: mode",
        ),
        (
            DEMO + '[organisation]\ndefault_agent = "dmeo"',
            "F: organisation.default_agent: no agent is called 'dmeo'; nearest valid name: demo",
        ),
        (DEMO + SMS + 'agent = "x"', "F: addresses[0].agent: no agent is called 'x'"),
        (SMS, "F: addresses[0].agent: missing, and there is no organisation.default_agent"),
        (
            DEMO + SMS + '[[addresses]]\nchannel = "sms"\naddress = "+1 555 0100"',
            "F: addresses[1].address: sms '+15550100' is there twice",
        ),
        (
            DEMO + '[[addresses]]\nchannel = "voice"\naddress = "12345"',
            "F: addresses[0].address: must be a phone number in E.164 like +15550100, not '12345'",
        ),
        (
            DEMO + '[[addresses]]\nchannel = "email"\naddress = "a@."',
            "F: addresses[0].address: must be a mailbox like support@example.org, not 'a@.'",
        ),
        (
            DEMO + '[[addresses]]\nchannel = "fax"\naddress = 5',
            "F: addresses[0].channel: must be 'sms', 'email' or 'voice', not 'fax'\n"
            "F: addresses[0].address: must be text, not 5",
        ),
        (
            DEMO + SMS + 'voice_mode = "relay"',
            "F: addresses[0].voice_mode: belongs to voice addresses only",
        ),
    ],
)
def test_refusals(toml: Path, text: str, lines: str) -> None:
    assert refusal(toml, text) == lines


def test_a_file_that_is_missing_too_large_or_not_toml(tmp_path: Path, toml: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(toml, "localhost")
    assert str(caught.value) == f"{toml}: cannot be read: No such file or directory"
    assert refusal(toml, "#" * (MAX_FILE_BYTES + 1)) == "F: larger than 1048576 bytes"
    assert refusal(toml, "[[").startswith("F: not TOML: ")
    toml.write_bytes(b"\xff")
    with pytest.raises(SettingsError) as caught:
        load_config(toml, "localhost")
    assert str(caught.value) == f"{toml}: not UTF-8"


def test_many_problems_are_cut_short(toml: Path) -> None:
    lines = refusal(toml, "".join(f"[agents.a{n}]\n" for n in range(200))).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "and 150 more"


KEYS = st.sampled_from(
    [
        "organisation",
        "addresses",
        "agents",
        "channels",
        "gateway",
        "kind",
        "url",
        "sms",
        "address",
        "idle_ttl",
    ]
)


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=8).map(lambda text: '"' + text.encode("unicode_escape").decode() + '"'),
        st.sampled_from(['"demo"', '"sms"', '"+15550100"', "0x" + "f" * 5000, "nan", "1979-05-27", "true"]),
        st.integers().map(str),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{" + ",".join(f"{key}={value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=8,
)


DOCUMENTS = st.one_of(
    st.text(max_size=200),
    st.dictionaries(KEYS, VALUES, max_size=4).map(
        lambda table: "\n".join(f"{key} = {value}" for key, value in table.items())
    ),
)


@given(document=DOCUMENTS)
def test_any_text_is_read_or_refused_in_lines(
    tmp_path_factory: pytest.TempPathFactory, document: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(document.encode("utf-8", "surrogatepass"))
    try:
        load_config(path, "localhost")
    except SettingsError as error:
        refused = error.problems
    else:
        return
    assert refused
    assert all(len(line.splitlines()) == 1 for line in refused)
