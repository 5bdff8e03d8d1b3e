"""Files that came with messages, read over HTTP."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.ids import new_id
from gateway.domain.message import InboundAttachment
from gateway.service.accept import accept
from gateway.service.attachments import Attachments
from gateway.store.attachment_folder import AttachmentFolder
from tests.contract.scene import ROUTE, sms
from tests.integration.api import Api


async def kept(api: Api, media_type: str, name: str | None, content: bytes = b"content") -> str:
    """The path of an attachment that came with a message."""
    config = api.app.configured.config
    folder = AttachmentFolder(api.app.settings.data_dir / "attachments")
    attachments = Attachments(api.app.store, folder, config.organization_id, 1000)
    attachment = await attachments(content, media_type=media_type, name=name)
    await arrived(api, attachment)
    return f"/v1/attachments/{attachment.id}"


async def arrived(api: Api, attachment: InboundAttachment) -> None:
    """A message with this attachment was accepted."""
    route = replace(ROUTE, organization_id=api.app.configured.config.organization_id)
    await api.app.store.write(accept, replace(sms(), attachments=(attachment,)), route)


@pytest.mark.parametrize(
    ("media_type", "told"),
    [
        ("image/png", "image/png"),
        ("video/mp4", "video/mp4"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
    ],
)
async def test_a_file_is_read_and_never_shown_as_a_page(any_api: Api, media_type: str, told: str) -> None:
    path = await kept(any_api, media_type, 'Bücher "1"\r\n.png')
    answer = await any_api.as_("app").get(path)
    assert (answer.status, answer.text) == (200, "content")
    assert answer.headers["Content-Type"].split(";")[0] == told
    assert answer.headers["Content-Length"] == "7"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''B%C3%BCcher%20_1_%20.png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_only_its_organisation_reads_it(any_api: Api) -> None:
    path = await kept(any_api, "image/png", None)
    assert (await any_api.as_("other").get(path)).error == (404, "not_found")
    assert (await any_api.as_(None).get(path)).error == (401, "unauthorized")
    assert (await any_api.get(f"/v1/attachments/{new_id()}")).error == (404, "not_found")
    assert (await any_api.get("/v1/attachments/nonsense")).error == (422, "validation_error")


async def test_one_that_is_not_here_yet_is_to_be_asked_for_again(any_api: Api) -> None:
    waiting = InboundAttachment(id=new_id(), media_type="image/png", source="http://127.0.0.1:9/x")
    await arrived(any_api, waiting)
    answer = await any_api.get(f"/v1/attachments/{waiting.id}")
    assert answer.error == (503, "unavailable")


async def test_a_file_that_is_gone_from_the_disk_is_404(any_api: Api, tmp_path: Path) -> None:
    path = await kept(any_api, "image/png", None)
    for file in (any_api.app.settings.data_dir / "attachments").rglob("*"):
        if file.is_file():
            file.unlink()
    assert (await any_api.get(path)).error == (404, "not_found")
