"""Where attachments are kept: a folder, or a bucket of a store that speaks S3, named by one URL."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.settings.values import parse_web_url

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
_PREFIX = re.compile(r"(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)*")
"""No segment of dots only: to some servers, and to none of ours, it would be another folder."""
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_PLAIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,2048}")
_OPTIONS = frozenset({"endpoint", "region"})
_FORM = "must be file:///srv/attachments, or s3://bucket/prefix?region=eu-central-1&endpoint=https://…"


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of this machine, or one that it has mounted."""

    folder: Path

    def __str__(self) -> str:
        """As it is configured."""
        return self.folder.as_uri()


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket, at Amazon or wherever `endpoint` is."""

    bucket: str
    prefix: str = ""
    """What every name in the bucket begins with, without slashes at its ends."""
    endpoint: str | None = None
    """Scheme, host and port; None: Amazon's own of the region."""
    region: str | None = None
    """None: what the environment says (AWS_REGION), else us-east-1."""

    def __str__(self) -> str:
        """Its name, without where it is."""
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


AttachmentPlace = FolderPlace | BucketPlace


def parse_attachments_url(value: object) -> AttachmentPlace:
    """`file:///srv/attachments`, or `s3://bucket[/prefix][?endpoint=https://…&region=…]`."""
    if not isinstance(value, str) or not _PLAIN.fullmatch(value.strip()):
        raise ValueError(_FORM)
    try:
        split = urlsplit(value.strip())
        options = dict(parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query)))
    except ValueError:
        raise ValueError(_FORM) from None
    path = unquote(split.path).rstrip("/")
    if split.scheme == "file" and path and not (split.netloc or split.query or split.fragment):
        return FolderPlace(Path(path))
    if split.scheme != "s3" or split.fragment:
        raise ValueError(_FORM)
    return _bucket(split.netloc, path.lstrip("/"), options)


def _bucket(bucket: str, prefix: str, options: dict[str, str]) -> BucketPlace:
    if "@" in bucket:
        # does not begin with "must", so that the value is not shown
        raise ValueError(
            "a key does not belong into it; see GATEWAY_ATTACHMENTS_ACCESS_KEY_ID and …_SECRET_ACCESS_KEY"
        )
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("must name a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError("must have a prefix of letters, digits and ._- between slashes")
    if unknown := sorted(options.keys() - _OPTIONS):
        raise ValueError(f"must have no options but endpoint and region; it has {', '.join(unknown)[:100]}")
    region = options.get("region")
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError("must have a region like eu-central-1")
    endpoint = options.get("endpoint")
    if endpoint is not None:
        try:
            endpoint = parse_web_url(endpoint)
        except ValueError as error:
            raise ValueError(f"its endpoint {error}") from None
    return BucketPlace(bucket, prefix, endpoint, region)
