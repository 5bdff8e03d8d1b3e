"""Opens the attachment store that the settings name, and sees at the start whether it can be used."""

import logging

from gateway.app.plan import Plan, Role
from gateway.domain.errors import Unavailable, WrongSetting
from gateway.domain.ports.files import AttachmentStore
from gateway.settings import BucketPlace, Settings
from gateway.store.attachment_folder import AttachmentFolder

_USERS = frozenset({Role.SERVE, Role.SMTP, Role.TIMERS})
"""Who reads files, takes them in, fetches or deletes them."""
_log = logging.getLogger(__name__)


def open_files(settings: Settings) -> AttachmentStore:
    """A bucket, or a folder; nothing is asked yet."""
    place = settings.attachments_url
    if not isinstance(place, BucketPlace):
        return AttachmentFolder(settings.data_dir / "attachments" if place is None else place.folder)
    from gateway.store.attachment_bucket import AttachmentBucket  # its library costs memory, and few need it

    key_id, secret = settings.attachments_access_key_id, settings.attachments_secret_access_key
    return AttachmentBucket(
        place.bucket,
        prefix=place.prefix,
        endpoint=place.endpoint,
        region=place.region,
        credentials=None if key_id is None or secret is None else (key_id, secret.get_secret_value()),
    )


async def check_files(files: AttachmentStore, plan: Plan) -> None:
    """Raises WrongSetting. A store that is away stops nobody: what needs it is tried again."""
    if not plan.roles & _USERS:
        return
    try:
        await files.check()
    except WrongSetting:
        raise
    except Unavailable as error:
        _log.warning(
            "files cannot be kept now; see gateway doctor",
            extra={"action": "files.away", "reason": error.message},
        )
