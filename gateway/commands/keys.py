"""`gateway keys`: API keys that are stored."""

import asyncio
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, opened, read_settings
from gateway.commands.terminal import Refusal, columns
from gateway.domain.clock import rfc3339
from gateway.service.keys import StoredKey, create_key, list_keys, revoke_key
from gateway.settings import KeyRole, Settings


@click.group()
def keys() -> None:
    """Create, list and revoke API keys.

    Stored keys count besides those of GATEWAY_API_KEYS. Only their hash is stored.
    """


@keys.command(epilog="Example: KEY=$(gateway keys create --role client --name website)")
@click.option(
    "--role",
    type=click.Choice([role.value for role in KeyRole]),
    required=True,
    help="client: converse. operator: also take over and decide. admin: everything.",
)
@click.option("--name", required=True, help="Whose key it is; shown in lists and as who decided.")
@click.option(
    "--approver",
    multiple=True,
    metavar="ROLE",
    help="An approver_role whose approvals this key may decide; may be repeated.",
)
@click.option("--organisation", metavar="NAME", help="Whose data it opens.  [default: that of gateway.toml]")
@config_option
@data_dir_option
def create(
    role: str,
    name: str,
    approver: tuple[str, ...],
    organisation: str | None,
    config: Path | None,
    data_dir: Path,
) -> None:
    """Create a key and print it, once: it cannot be shown again."""
    settings = read_settings(config, data_dir)
    owner = organisation or settings.config.organisation
    if not name.strip() or len(name) > 200:
        raise click.BadParameter("must have 1 to 200 characters", param_hint="--name")
    key_id, text = asyncio.run(_create(settings, owner, name.strip(), KeyRole(role), approver))
    click.echo(text)
    click.echo(f"{role} key {key_id} of {owner}; keep it, it is not shown again", err=True)


@keys.command(name="list")
@config_option
@data_dir_option
def list_(config: Path | None, data_dir: Path) -> None:
    """List the stored keys, the revoked ones too; never their text."""
    found = asyncio.run(_list(read_settings(config, data_dir)))
    if not found:
        click.echo("no keys are stored", err=True)
        return
    rows = [
        (key.id, key.name, key.role.value, ",".join(key.approver_roles) or "-", _day(key), _state(key))
        for key in found
    ]
    for line in columns(rows, ("ID", "NAME", "ROLE", "APPROVER", "CREATED", "STATE")):
        click.echo(line)


@keys.command()
@click.argument("key_id", metavar="ID")
@config_option
@data_dir_option
def revoke(key_id: str, config: Path | None, data_dir: Path) -> None:
    """Revoke a key by its ID, or by the beginning of one.

    Running processes go on taking it for some seconds.
    """
    revoked = asyncio.run(_revoke(read_settings(config, data_dir), key_id))
    click.echo(f"revoked {revoked.id} ({revoked.name})")


async def _create(
    settings: Settings, owner: str, name: str, role: KeyRole, approver: tuple[str, ...]
) -> tuple[str, str]:
    async with opened(settings) as store:
        return await store.write(create_key, owner, name, role, approver)


async def _list(settings: Settings) -> list[StoredKey]:
    async with opened(settings) as store:
        return await store.read(list_keys)


async def _revoke(settings: Settings, prefix: str) -> StoredKey:
    async with opened(settings) as store:
        matching = [key for key in await store.read(list_keys) if key.id.startswith(prefix.lower())]
        if not matching:
            raise Refusal(f"no key's id begins with {prefix}; see: gateway keys list")
        if len(matching) > 1:
            raise Refusal(f"{len(matching)} keys' ids begin with {prefix}; give more of it")
        if not await store.write(revoke_key, matching[0].id):
            raise Refusal(f"{matching[0].id} is revoked already")
        return matching[0]


def _day(key: StoredKey) -> str:
    return rfc3339(key.created_at)[:19] + "Z"


def _state(key: StoredKey) -> str:
    return "in force" if key.revoked_at is None else f"revoked {rfc3339(key.revoked_at)[:19]}Z"
