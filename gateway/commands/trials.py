"""`gateway demo` and `gateway bench`."""

import click


@click.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """One scripted pass over every channel, on sockets of this machine only.

    An SMS through signed webhooks and a bundled fake Twilio, a mail in and its threaded reply, a phone call
    that ends in a transfer, a turn and a streamed turn over the API, a handoff answered by a person. Prints
    what was said and exits 0 when all of it went as it should.
    """
    from gateway.demo import run

    ctx.exit(run())


@click.command(epilog="Examples: gateway bench, gateway bench pipeline --json, gateway bench mail")
@click.argument("scenario", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--conversations",
    type=click.IntRange(min=100),
    metavar="N",
    help="api: how many conversations the large table has.  [default: 1000000]",
)
@click.pass_context
def bench(ctx: click.Context, scenario: str | None, as_json: bool, conversations: int | None) -> None:
    """Measure this machine: one SCENARIO, or all of them.

    pipeline: SMS through the whole road, in messages a second. api: what a client waits for, beside a short
    and a long conversation, beside few and many of them. mail: what reading a mail costs, beside the
    standard library. sms: counting and cutting texts. knowledge: a question, over few chunks and many.

    What is not there (RabbitMQ, PostgreSQL) is started privately where its program is installed, and left
    out where it is not.
    """
    from gateway.bench import run

    ctx.exit(run(scenario, as_json=as_json, conversations=conversations))
