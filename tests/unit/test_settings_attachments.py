"""Where attachments are kept: a folder or a bucket, in one URL."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.settings import BucketPlace, FolderPlace, SettingsError, load_settings
from gateway.settings.attachments import parse_attachments_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///srv/my%20files/", FolderPlace(Path("/srv/my files"))),
        ("s3://files", BucketPlace("files")),
        ("s3://files/", BucketPlace("files")),
        ("s3://my.files-1/gateway/eu/", BucketPlace("my.files-1", "gateway/eu")),
        (
            "s3://files/a?region=eu-central-1&endpoint=https://minio.example:9000/",
            BucketPlace("files", "a", "https://minio.example:9000", "eu-central-1"),
        ),
        (
            "s3://files?endpoint=http%3A%2F%2F127.0.0.1%3A9000",
            BucketPlace("files", "", "http://127.0.0.1:9000"),
        ),
    ],
)
def test_a_place_is_read_from_its_url(url: str, place: object) -> None:
    assert parse_attachments_url(url) == place


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("/srv/files", "must be file:///"),
        ("file://host/srv", "must be file:///"),
        ("file:///", "must be file:///"),
        ("https://files.example.org", "must be file:///"),
        ("s3://", "must name a bucket"),
        ("s3://Files", "must name a bucket"),
        ("s3://a", "must name a bucket"),
        ("s3://files/../secret", "must have a prefix"),
        ("s3://files/a b", "must be file:///"),
        ("s3://files/a%20b", "must have a prefix"),
        ("s3://files/a//b", "must have a prefix"),
        ("s3://files?acl=public", "it has acl"),
        ("s3://files?region", "must be file:///"),
        ("s3://files?region=", "must have a region"),
        ("s3://files?endpoint=minio:9000", "its endpoint must be a URL"),
        ("s3://key:secret@files", "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID"),
        (7, "must be file:///"),
    ],
)
def test_what_is_no_place_is_refused_with_what_to_write(url: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_attachments_url(url)


@settings(max_examples=50)
@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda text: f"s3://{text}")))
@example("s3://[")
@example("s3://files?endpoint=http://[")
def test_whatever_is_written_is_a_place_or_refused(text: str) -> None:
    try:
        place = parse_attachments_url(text)
    except ValueError:
        return
    assert parse_attachments_url(text) == place


def test_a_key_goes_with_its_secret_and_neither_is_shown() -> None:
    def problems(**environ: str) -> str:
        with pytest.raises(SettingsError) as caught:
            load_settings(environ, config_path=None, data_dir=Path("data"), host="127.0.0.1", port=8080)
        return str(caught.value)

    assert problems(GATEWAY_ATTACHMENTS_ACCESS_KEY_ID="AKIA1") == (
        "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID: goes together with GATEWAY_ATTACHMENTS_SECRET_ACCESS_KEY"
    )
    told = problems(GATEWAY_ATTACHMENTS_URL="s3://AKIA1:hunter2@files")
    assert "GATEWAY_ATTACHMENTS_URL: a key does not belong into it" in told
    assert "hunter2" not in told
