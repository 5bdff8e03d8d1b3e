"""The attachment store as a bucket: an object for each content, at Amazon S3 or whatever speaks its protocol.

Requests are signed (Signature Version 4) by obstore, which also finds the credentials of a machine or pod.
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import uuid4

from obstore.exceptions import BaseError
from obstore.store import S3Store

from gateway.domain.errors import FileMissing, Unavailable, WrongSetting
from gateway.domain.ports.files import FileKey
from gateway.store.attachment_folder import PIECE_BYTES

_CONNECT: Final = timedelta(seconds=5)
_REQUEST: Final = timedelta(seconds=30)
_RETRY_FOR: Final = timedelta(seconds=10)
"""After so long, what could not be done is for whoever asked to try again."""
_RETRIES: Final = 2
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_MACHINE: Final = "169.254.169.254"
"""Where a machine of a cloud asks for its credentials, the last place that is looked in."""
_NO_BUCKET: Final = "NoSuchBucket"
_SETTINGS: Final = "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID and GATEWAY_ATTACHMENTS_SECRET_ACCESS_KEY"
_CREDENTIALS: Final = f"it refuses the credentials; check {_SETTINGS}"
_REGION: Final = "the bucket is in another region; name it with ?region=…"
_REFUSALS: Final = {
    _NO_BUCKET: "there is no such bucket",
    "InvalidBucketName": "there can be no bucket of that name",
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "AccessDenied": "the credentials may not put, get and delete objects there",
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
}
"""What S3 says where our settings are wrong: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


class AttachmentBucket:
    """Objects of one bucket: `<prefix>/<organisation>/<sha256>`."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """`credentials`: key id and secret; None: what the environment gives. Nothing is sent yet."""
        given: dict[str, str] = {}
        if endpoint is not None:
            given["endpoint"] = endpoint
        if region is not None:
            given["region"] = region
        if credentials is not None:
            given["access_key_id"], given["secret_access_key"] = credentials
        self._name = f"s3://{bucket}"
        self._objects = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": endpoint is not None and endpoint.startswith("http://"),
                "connect_timeout": _CONNECT,
                "timeout": _REQUEST,
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
            **given,  # type: ignore[arg-type] # the names are S3's
        )

    async def put(self, key: FileKey, content: bytes) -> None:
        """One request: the object is there whole, or it is not."""
        with self._told():
            await self._objects.put_async(_object(key), content, use_multipart=False)

    async def read(self, key: FileKey) -> AsyncGenerator[bytes, None]:
        """The object in pieces, as they come."""
        with self._told(key):
            answer = await self._objects.get_async(_object(key))
            async for piece in answer.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    async def remove(self, key: FileKey) -> None:
        """Delete it; S3 does not tell whether it was there."""
        with self._told():
            await self._objects.delete_async(_object(key))

    async def check(self) -> None:
        """Put, get and delete an object of its own. Raises WrongSetting, Unavailable."""
        name = f"check-{uuid4().hex}"
        with self._told():
            await self._objects.put_async(name, b"check", use_multipart=False)
            await self._objects.get_async(name)
            await self._objects.delete_async(name)

    @contextmanager
    def _told(self, key: FileKey | None = None) -> Iterator[None]:
        """What obstore raises, as what the port names: a file that is not there, or what to try again."""
        try:
            yield
        except (BaseError, OSError) as error:
            text = str(error)
            found = _CODE.search(text)
            code = found[1] if found else ""
            if isinstance(error, FileNotFoundError) and key is not None and code != _NO_BUCKET:
                raise FileMissing(key.sha256) from None
            if code in _REFUSALS:
                raise WrongSetting(f"{self._name}: {_REFUSALS[code]}") from None
            if _MACHINE in text:
                raise WrongSetting(f"{self._name}: there are no credentials; set {_SETTINGS}") from None
            raise Unavailable(f"{self._name}: {code or 'no answer'}") from None


def _object(key: FileKey) -> str:
    return f"{key.organization_id}/{key.sha256}"
