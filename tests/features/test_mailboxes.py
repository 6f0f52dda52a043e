"""Voice messages on disk: nothing is half there, nothing gets out of its folder, and nothing grows without end."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

import pytest

from trunkline import StorageError
from trunkline.features.mailboxes import Counts, Draft, Mailboxes, MailboxFull, VoiceMessage, folder_name


def spoken(path: Path, seconds: float = 2.0) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(int(16_000 * seconds)))


def left(boxes: Mailboxes, user: str = "alice") -> VoiceMessage:
    draft = boxes.begin(user, caller_id="+1555", caller_name="Mo")
    spoken(draft.recording)
    return boxes.keep(draft, 2.0)


def test_messages_are_there_in_order_after_a_restart_new_ones_first(tmp_path: Path) -> None:
    now = iter(range(100, 110))
    boxes = Mailboxes(tmp_path, wall_clock=lambda: next(now))
    first, second, third = (left(boxes) for _ in range(3))
    boxes.save("alice", first)
    boxes.delete("alice", second)
    boxes.save("alice", second)
    for one in (boxes, Mailboxes(tmp_path)):
        messages = one.messages("alice")
        assert [message.id for message in messages] == [third.id, first.id]
        assert (messages[0].caller_id, messages[0].caller_name, messages[0].received_at) == ("+1555", "Mo", 102.0)
        assert [message.heard for message in messages] == [False, True]
        assert one.counts("alice") == Counts(1, 1)
        assert one.counts("bob") == Counts()
    assert len(list((tmp_path / "alice").iterdir())) == 4


def test_a_mailbox_is_bounded_in_number_and_size(tmp_path: Path) -> None:
    boxes = Mailboxes(tmp_path, max_messages=2)
    first = left(boxes)
    draft = boxes.begin("alice")
    with pytest.raises(MailboxFull, match="the mailbox of alice is full"):
        boxes.begin("alice")
    boxes.drop(draft)
    boxes.drop(draft)
    left(boxes)
    with pytest.raises(MailboxFull):
        boxes.begin("alice")
    boxes.delete("alice", first)
    boxes.drop(boxes.begin("alice"))
    left(boxes, "bob")
    with pytest.raises(MailboxFull):
        Mailboxes(tmp_path, max_bytes=32_000).begin("alice")


NAMES = [
    "../bob",
    "..",
    ".",
    "/etc",
    "a/b",
    "a\\b",
    "a\0b",
    "Bob",
    "bob",
    "",
    "ü",
    "x" * 5000,
    "y" * 5000,
    "%2e",
    "bob.part",
]


def test_no_name_of_a_user_leads_out_of_the_folder_or_to_another_ones(tmp_path: Path) -> None:
    folders = [folder_name(name) for name in NAMES]
    assert len({folder.lower() for folder in folders}) == len(NAMES)
    boxes = Mailboxes(tmp_path / "mail")
    for name in NAMES:
        message = left(boxes, name)
        assert message.path.parent.parent == tmp_path / "mail"
        assert message.path.resolve().is_relative_to((tmp_path / "mail").resolve())
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]
    assert len(list((tmp_path / "mail").iterdir())) == len(NAMES)
    assert all(boxes.counts(name) == Counts(1) for name in NAMES)


def killed(boxes: Mailboxes, seconds: float) -> Draft:
    draft = boxes.begin("alice", caller_id="+1666")
    if seconds >= 0:
        spoken(draft.recording, seconds)
    return draft


@pytest.mark.parametrize(("seconds", "kept"), [(3.0, True), (0.0, False), (-1.0, False)])
def test_what_a_killed_process_was_recording_is_kept_as_far_as_it_was_said(
    tmp_path: Path, seconds: float, kept: bool
) -> None:
    killed(Mailboxes(tmp_path), seconds)
    messages = Mailboxes(tmp_path).messages("alice")
    assert [(message.caller_id, message.duration_s) for message in messages] == ([("+1666", 3.0)] if kept else [])
    assert len(list((tmp_path / "alice").iterdir())) == (2 if kept else 0)
    assert messages == Mailboxes(tmp_path).messages("alice")


@pytest.mark.parametrize("step", range(4))
def test_whenever_it_is_killed_while_a_message_arrives_the_message_is_there_once(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = Mailboxes(tmp_path)
    draft = killed(boxes, 3.0)
    done: list[int] = []

    def dies(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> object:
            if len(done) == step:
                raise KeyboardInterrupt
            done.append(1)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    for name in ("replace", "fsync"):
        dies(name)
    with pytest.raises(KeyboardInterrupt):
        boxes.keep(draft, 3.0)
    monkeypatch.undo()
    (message,) = Mailboxes(tmp_path).messages("alice")
    assert (message.caller_id, message.duration_s, message.heard) == ("+1666", 3.0, False)
    assert len(list((tmp_path / "alice").iterdir())) == 2


def test_a_killed_save_or_delete_leaves_a_message_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = Mailboxes(tmp_path)
    message = left(boxes)

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        boxes.save("alice", message)
    monkeypatch.undo()
    assert Mailboxes(tmp_path).counts("alice") == Counts(new=1)
    assert len(list((tmp_path / "alice").iterdir())) == 2
    message.path.with_suffix(".json").unlink()
    assert Mailboxes(tmp_path).counts("alice") == Counts()
    assert list((tmp_path / "alice").iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', '{"caller_id": 1}'])
def test_a_damaged_file_is_no_message_and_costs_no_other(tmp_path: Path, text: str) -> None:
    boxes = Mailboxes(tmp_path)
    left(boxes)
    other = left(boxes)
    other.path.with_suffix(".json").write_text(text)
    assert Mailboxes(tmp_path).counts("alice") == Counts(new=1)


def test_what_the_disk_refuses_is_one_error_that_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("no folder")
    with pytest.raises(StorageError, match=r"mail/alice: a voice message cannot be kept: Not a directory"):
        Mailboxes(tmp_path / "mail").counts("alice")


def test_what_is_written_is_plain_json(tmp_path: Path) -> None:
    message = left(Mailboxes(tmp_path, wall_clock=lambda: 1.5))
    assert json.loads(message.path.with_suffix(".json").read_text()) == {
        "caller_id": "+1555",
        "caller_name": "Mo",
        "received_at": 1.5,
        "duration_s": 2.0,
        "heard": False,
    }
