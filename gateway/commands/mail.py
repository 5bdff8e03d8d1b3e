"""`gateway mail`: what ingress makes of a raw mail, and setting a mail domain up."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.commands.options import config_option, data_dir_option, read_settings
from gateway.commands.terminal import Refusal
from gateway.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group()
def mail() -> None:
    """What is made of a raw mail, and what a mail domain needs."""


@mail.command(epilog="Example: gateway mail parse --jsonl tests/mails/*.eml | jq .kind")
@click.option("--jsonl", is_flag=True, help="One mail a line.")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
def parse(jsonl: bool, files: tuple[Path, ...]) -> None:
    """What ingress makes of raw mails: the new text, what was quoted, threading, kind, attachments."""
    from channels.email.commands import parse_lines

    for line in parse_lines(files, jsonl=jsonl):
        click.echo(line)


@mail.command(epilog="Example: GATEWAY_MAIL_DOMAIN=example.org gateway mail setup --host mail.example.org")
@click.option("--host", metavar="NAME", help="The machine that takes mail in.  [default: mail.DOMAIN]")
@click.option("--selector", default="gateway", show_default=True, help="Name of the DKIM key in the DNS.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the private key is, or is put.  [default: dkim-SELECTOR.pem in the data folder]",
)
@config_option
@data_dir_option
def setup(
    host: str | None, selector: str, key_file: Path | None, config: Path | None, data_dir: Path
) -> None:
    """Make the DKIM key, and print the DNS records to publish for GATEWAY_MAIL_DOMAIN.

    A key that is there is kept. Nothing is published and nothing is sent; gateway doctor then checks.
    """
    settings = read_settings(config, data_dir)
    domain = settings.mail_domain
    if domain == "localhost":
        raise Refusal("GATEWAY_MAIL_DOMAIN is localhost: set it to the domain that mail is for")
    from channels.email.records import wanted_records
    from channels.email.sign import key_record, read_private_key

    name = settings.dkim_selector or selector
    path = key_file or settings.dkim_key_file or data_dir / f"dkim-{name}.pem"
    if not path.exists():
        _make_key(path)
        click.echo(f"made the key {path}; keep it secret", err=True)
    try:
        key = key_record(read_private_key(path))
    except ValueError as error:
        raise Refusal(str(error)) from None
    records = wanted_records(domain, host or f"mail.{domain}", relay=_relay(settings), selector=name, key=key)
    click.echo("Publish:")
    for record in records:
        click.echo(record.line)
    click.echo("\nSet:")
    click.echo(f"GATEWAY_DKIM_SELECTOR={name}")
    click.echo(f"GATEWAY_DKIM_KEY_FILE={path.resolve()}")


def _make_key(path: Path) -> None:
    """A new private key that only its owner reads."""
    from channels.email.sign import make_private_key

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600, exist_ok=False)
    path.write_bytes(make_private_key())


def _relay(settings: Settings) -> str | None:
    """The host that our mail leaves through, where it has a name that others can look up."""
    url = settings.smtp_relay_url
    host = urlsplit(url.get_secret_value()).hostname if url is not None else None
    return host if host and "." in host and not host.replace(".", "").isdecimal() else None
