"""The attachment store as a bucket, against a server that speaks S3 and checks signatures and policies."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway.app import Plan, StartRefused, running
from gateway.app.files import check_files, open_files
from gateway.app.plan import Role
from gateway.commands.checks import check_attachments
from gateway.domain.errors import FileMissing, Unavailable, WrongSetting
from gateway.domain.ids import new_id
from gateway.domain.ports.files import FileKey
from gateway.settings import Settings, load_settings
from gateway.store.attachment_bucket import AttachmentBucket
from gateway.store.attachment_folder import PIECE_BYTES

REGION = "eu-central-1"
ORGANISATION = new_id()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A bucket of the server, and a key for it."""

    endpoint: str
    bucket: str
    key_id: str
    secret: str
    stranger: tuple[str, str]
    """Key of somebody who may do nothing there."""

    @property
    def url(self) -> str:
        """As the setting says it."""
        return f"s3://{self.bucket}/gw?region={REGION}&endpoint={self.endpoint}"

    def store(self) -> AttachmentBucket:
        return AttachmentBucket(
            self.bucket,
            prefix="gw",
            endpoint=self.endpoint,
            region=REGION,
            credentials=(self.key_id, self.secret),
        )

    def settings(self, folder: Path) -> Settings:
        environ = {
            "GATEWAY_ATTACHMENTS_URL": self.url,
            "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID": self.key_id,
            "GATEWAY_ATTACHMENTS_SECRET_ACCESS_KEY": self.secret,
            "GATEWAY_SMTP_PORT": "0",
        }
        return load_settings(environ, config_path=None, data_dir=folder, host="127.0.0.1", port=0)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A server of this module's own; what it is asked is checked once the users are made."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    # what it keeps belongs to the process, and outlives a server
    urlopen(Request(f"{endpoint}/moto-api/reset", b"")).close()

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="root",
            aws_secret_access_key="root",
        )

    client("s3").create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
                "Resource": "arn:aws:s3:::*",
            }
        ],
    }
    keys = {}
    for user in ("gateway", "stranger"):
        client("iam").create_user(UserName=user)
        keys[user] = client("iam").create_access_key(UserName=user)["AccessKey"]
    client("iam").put_user_policy(UserName="gateway", PolicyName="files", PolicyDocument=json.dumps(policy))
    # from here on every request must be signed by a user who may do it
    urlopen(Request(f"{endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})).close()
    yield Place(
        endpoint=endpoint,
        bucket="files",
        key_id=keys["gateway"]["AccessKeyId"],
        secret=keys["gateway"]["SecretAccessKey"],
        stranger=(keys["stranger"]["AccessKeyId"], keys["stranger"]["SecretAccessKey"]),
    )
    urlopen(Request(f"{endpoint}/moto-api/reset-auth", b"inf", {"Content-Type": "text/plain"})).close()
    server.stop()


def key_of(content: bytes) -> FileKey:
    return FileKey(ORGANISATION, hashlib.sha256(content).hexdigest())


async def content_of(store: AttachmentBucket, key: FileKey) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


@pytest.mark.parametrize("content", [b"", b"one", os.urandom(2 * PIECE_BYTES + 1)], ids=["0", "3", "large"])
async def test_what_is_put_is_read_until_it_is_removed(place: Place, content: bytes) -> None:
    store, key = place.store(), key_of(content)
    with pytest.raises(FileMissing):
        await content_of(store, key)
    for _ in range(2):
        await store.put(key, content)
        assert await content_of(store, key) == content
    for _ in range(2):
        await store.remove(key)
    with pytest.raises(FileMissing):
        await content_of(store, key)


async def test_a_large_file_comes_in_pieces(place: Place) -> None:
    content = os.urandom(4 * PIECE_BYTES)
    await place.store().put(key_of(content), content)
    pieces = [piece async for piece in place.store().read(key_of(content))]
    assert b"".join(pieces) == content
    assert len(pieces) > 1


def wrong(place: Place, what: str) -> Place:
    match what:
        case "secret":
            return replace(place, secret="x" * 40)
        case "key":
            return replace(place, key_id="AKIANOBODY")
        case "rights":
            return replace(place, key_id=place.stranger[0], secret=place.stranger[1])
        case _:
            return replace(place, bucket="no-such-bucket")


SAYS = {
    "secret": "it refuses the credentials; check GATEWAY_ATTACHMENTS_ACCESS_KEY_ID",
    "key": "it refuses the credentials; check GATEWAY_ATTACHMENTS_ACCESS_KEY_ID",
    "rights": "the credentials may not put, get and delete objects there",
    "bucket": "there is no such bucket",
}


@pytest.mark.parametrize("what", list(SAYS))
async def test_a_wrong_setting_is_named_and_loses_nothing(place: Place, tmp_path: Path, what: str) -> None:
    mistaken = wrong(place, what)
    for wanted in (
        mistaken.store().put(key_of(b"x"), b"x"),
        content_of(mistaken.store(), key_of(b"x")),
        mistaken.store().check(),
    ):
        with pytest.raises(WrongSetting, match=SAYS[what]):
            await wanted
    settings = mistaken.settings(tmp_path)
    finding = await check_attachments(settings)
    assert finding.verdict == "fail"
    assert SAYS[what] in finding.text
    assert mistaken.secret not in finding.text
    with pytest.raises(StartRefused, match=SAYS[what]):
        async with running(settings, Plan(roles=frozenset({Role.TIMERS}), migrate=True)):
            pass


async def test_a_store_that_is_away_is_retryable_and_stops_no_start(place: Place, tmp_path: Path) -> None:
    away = replace(place, endpoint="http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="no answer") as caught:
        await away.store().put(key_of(b"x"), b"x")
    assert not isinstance(caught.value, WrongSetting)
    settings = away.settings(tmp_path)
    await check_files(open_files(settings), Plan(roles=frozenset({Role.SERVE})))
    finding = await check_attachments(settings)
    assert (finding.verdict, finding.text) == ("fail", "s3://files: no answer; see GATEWAY_ATTACHMENTS_URL")


async def test_doctor_and_the_start_find_a_bucket_that_is_well(place: Place, tmp_path: Path) -> None:
    settings = place.settings(tmp_path)
    finding = await check_attachments(settings)
    assert (finding.verdict, finding.text) == ("ok", "s3://files/gw takes and gives files")
    async with running(settings, Plan(roles=frozenset({Role.TIMERS}), migrate=True)):
        pass
