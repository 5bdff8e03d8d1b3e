"""The webhooks of providers that this process serves."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from starlette.routing import BaseRoute

from channels.contract import Ingress
from channels.email.hooks.mailgun import PATHS as MAILGUN_PATHS
from channels.email.hooks.mailgun import MailgunProof, mailgun_routes
from channels.email.hooks.postmark import PATH as POSTMARK_PATH
from channels.email.hooks.postmark import postmark_routes
from channels.email.hooks.room import Room
from channels.email.hooks.ses import ses_routes
from channels.email.intake import MailIntake
from channels.sms.routes import sms_routes
from channels.sms.telnyx_routes import telnyx_sms_routes
from channels.voice.jambonz.lost import LostCalls
from channels.voice.jambonz.rest import JambonzRest
from channels.voice.jambonz.routes import jambonz_routes
from channels.voice.outgoing_routes import outgoing_routes
from channels.voice.relay.routes import relay_routes
from channels.voice.routes import voice_routes
from gateway.channel_ports.accounts import jambonz_account, telnyx_credentials, twilio_credentials
from gateway.domain.clock import Clock
from gateway.domain.ports.ingress import BindToken
from gateway.settings import Settings

LARGE = frozenset({POSTMARK_PATH, *MAILGUN_PATHS})
"""Paths that may take a whole mail with its files: from whom a request's head proves to be who may."""


def receives_mail_by_webhook(settings: Settings) -> bool:
    """Whether a provider that receives mail for us is configured."""
    return bool(settings.mailgun_signing_key or settings.postmark_webhook_login or settings.ses_topic_arns)


def mail_webhook_routes(
    settings: Settings, intake: MailIntake, clock: Clock, bind: BindToken
) -> Sequence[BaseRoute]:
    """The webhooks of providers that receive mail for us."""
    mailgun, postmark = settings.mailgun_signing_key, settings.postmark_webhook_login
    login, room = settings.mailgun_webhook_login, Room()
    routes: list[BaseRoute] = []
    if mailgun is not None:
        proof = MailgunProof(mailgun.get_secret_value(), login.get_secret_value() if login else None)
        routes += mailgun_routes(intake, proof, clock, bind, room)
    if postmark is not None:
        routes += postmark_routes(intake, postmark.get_secret_value(), room)
    if settings.ses_topic_arns:
        routes += ses_routes(intake, settings.ses_topic_arns)
    return routes


def webhook_routes(settings: Settings, ingress: Ingress, stack: AsyncExitStack) -> Sequence[BaseRoute]:
    """Every provider webhook this process can prove, but for those that bring mail.

    The stack ends what goes on beside them, after the door that serves them.
    """
    twilio, telnyx = twilio_credentials(settings), telnyx_credentials(settings)
    routes: list[BaseRoute] = []
    if twilio is not None:
        routes += [
            *sms_routes(ingress, twilio),
            *voice_routes(ingress, twilio),
            *outgoing_routes(ingress, twilio),
            *relay_routes(ingress, twilio),
        ]
    if telnyx is not None:
        routes += telnyx_sms_routes(ingress, telnyx)
    if settings.jambonz_webhook_login is not None:
        login, account = settings.jambonz_webhook_login.get_secret_value(), jambonz_account(settings)
        lost = LostCalls(ingress, None if account is None else JambonzRest(account), login)
        stack.push_async_callback(lost.close)
        if settings.embedded:
            lost.find_left()
        routes += jambonz_routes(ingress, login, lost)
    return routes
