"""A message as the poll shows it: whatever files came or went with it can be found and read."""

from gateway.api.schemas.messages import poll_row
from gateway.domain.message import Attachment, Author, JsonObject, Message, Role

CUP = Attachment(
    id="a-1", media_type="image/png", size=5, name="cup.png", url="https://here/v1/attachments/a-1"
)
SHOWN = {"id": "a-1", "media_type": "image/png", "size": 5, "name": "cup.png", "url": CUP.url}


def shown(metadata: JsonObject, *attachments: Attachment) -> JsonObject:
    message = Message(
        id="m",
        conversation_id="c",
        seq=0,
        turn_id=None,
        role=Role.USER,
        content="See the picture.",
        author=Author.END_USER,
        created_at=0,
        metadata=metadata,
        attachments=attachments,
    )
    return poll_row(message).metadata


def test_without_files_it_is_as_it_was_noted() -> None:
    assert shown({"kind": "human", "attachments": []}) == {"kind": "human", "attachments": []}


def test_a_picture_with_a_text_is_shown() -> None:
    assert shown({"from_city": "Turin"}, CUP) == {"from_city": "Turin", "attachments": [SHOWN]}


def test_what_an_agent_attached_is_shown_once() -> None:
    assert shown({"attachments": [SHOWN]}, CUP) == {"attachments": [SHOWN]}


def test_the_files_of_a_mail_tell_which_were_too_large() -> None:
    described = {"media_type": "image/png", "size": 5, "name": "cup.png", "inline": False, "kept": True}
    film = {"media_type": "video/mp4", "size": 10**9, "name": "cup.mp4", "inline": False, "kept": False}
    noted = {"attachments": [film, described]}
    assert shown(noted, CUP) == {"attachments": [film, {**described, **SHOWN}]}
    assert noted == {"attachments": [film, described]}
