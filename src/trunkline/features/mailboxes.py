"""Voice messages on disk: a folder for each mailbox, in it a WAV and a JSON for each message.

`features.voicemail` uses it, on threads. A message is there when its JSON is: that is renamed into place last, after both files have
reached the disk. What a killed process was recording is found at the next look and kept as far as it was said.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from trunkline import StorageError

__all__ = ["Counts", "Draft", "MailboxFull", "Mailboxes", "VoiceMessage"]

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
MAX_NAME = 120
PART = ".part"


class MailboxFull(StorageError):
    """A mailbox has as many messages, or bytes, as it may."""


@dataclass(frozen=True, slots=True)
class VoiceMessage:
    """A message that somebody left."""

    id: str
    """Unique; messages sort by it in the order in which they came."""
    path: Path
    """The WAV."""
    caller_id: str
    caller_name: str
    received_at: float
    """When, in seconds since the epoch."""
    duration_s: float
    heard: bool = False
    """Whether it was kept after it was heard: a saved one."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages a mailbox has."""

    new: int = 0
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is being recorded: `Mailboxes.keep` or `Mailboxes.drop` ends it."""

    user: str
    message: VoiceMessage
    recording: Path
    """Where it is written."""


@dataclass(slots=True)
class _Box:
    """One mailbox as it was read."""

    folder: Path
    messages: dict[str, VoiceMessage]
    drafts: set[str] = field(default_factory=set)


class Mailboxes:
    """The mailboxes of all users, in one folder; from any thread, and of one process at a time.

    Args:
        folder: Where; it is made where it is not there.
        max_messages: Of one mailbox, new and saved.
        max_bytes: Of all recordings of one mailbox.
        wall_clock: Seconds since the epoch.

    Example:
        >>> import tempfile
        >>> boxes = Mailboxes(tempfile.mkdtemp())
        >>> boxes.counts("alice")
        Counts(new=0, saved=0)
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        max_messages: int = 100,
        max_bytes: int = 200_000_000,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(folder)
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self._wall_clock = wall_clock
        self._boxes: dict[str, _Box] = {}
        self._lock = threading.RLock()

    def counts(self, user: str) -> Counts:
        """How many messages wait. StorageError where the folder cannot be read."""
        messages = self.messages(user)
        saved = sum(message.heard for message in messages)
        return Counts(len(messages) - saved, saved)

    def messages(self, user: str) -> tuple[VoiceMessage, ...]:
        """The messages: new ones first, each kind in the order in which they came. StorageError where the folder cannot be read."""
        with self._lock:
            return tuple(sorted(self._box(user).messages.values(), key=lambda each: (each.heard, each.id)))

    def begin(self, user: str, *, caller_id: str = "", caller_name: str = "") -> Draft:
        """Make room for a message that is going to be recorded.

        Raises:
            MailboxFull: There is none.
            StorageError: The folder cannot be written.
        """
        with self._lock:
            box = self._box(user)
            size = sum(_size(message.path) for message in box.messages.values())
            if len(box.messages) + len(box.drafts) >= self.max_messages or size >= self.max_bytes:
                raise MailboxFull(f"the mailbox of {user} is full")
            now = self._wall_clock()
            name = f"{int(now * 1000):014d}-{uuid.uuid4().hex[:8]}"
            message = VoiceMessage(name, box.folder / f"{name}.wav", caller_id, caller_name, now, 0.0)
            draft = Draft(user, message, box.folder / f"{name}{PART}.wav")
            with _told(box.folder):
                _write(_json(message, PART), message)
            box.drafts.add(name)
            return draft

    def keep(self, draft: Draft, duration_s: float) -> VoiceMessage:
        """Have a recorded message arrive.

        Raises:
            StorageError: It cannot be written.
        """
        with self._lock:
            box = self._box(draft.user)
            message = replace(draft.message, duration_s=duration_s)
            with _told(box.folder):
                _commit(draft.recording, message)
            box.drafts.discard(message.id)
            box.messages[message.id] = message
            return message

    def drop(self, draft: Draft) -> None:
        """Forget what was recorded. Idempotent."""
        with self._lock:
            self._box(draft.user).drafts.discard(draft.message.id)
            for path in (draft.recording, _json(draft.message, PART)):
                path.unlink(missing_ok=True)

    def save(self, user: str, message: VoiceMessage) -> None:
        """Count a message as saved, not new; nothing where it is gone. StorageError where it cannot be written."""
        with self._lock:
            box = self._box(user)
            found = box.messages.get(message.id)
            if found is None or found.heard:
                return
            heard = replace(found, heard=True)
            with _told(box.folder):
                _write(_json(heard, PART), heard)
                os.replace(_json(heard, PART), _json(heard))
            box.messages[message.id] = heard

    def delete(self, user: str, message: VoiceMessage) -> None:
        """Delete a message; nothing where it is gone. StorageError where it cannot be."""
        with self._lock:
            box = self._box(user)
            with _told(box.folder):
                # without its JSON it is no message any more, whatever happens to the other file
                _json(message).unlink(missing_ok=True)
                message.path.unlink(missing_ok=True)
            box.messages.pop(message.id, None)

    def _box(self, user: str) -> _Box:
        if user not in self._boxes:
            folder = self.folder / folder_name(user)
            with _told(folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _recover(folder)
                self._boxes[user] = _Box(folder, _read(folder))
        return self._boxes[user]


def folder_name(user: str) -> str:
    """A folder's name of a user's, whatever that is: never a path, never another user's, also where upper and lower case are one.

    Example:
        >>> folder_name("../Bob")
        '%2e%2e%2f%42ob'
    """
    name = "".join(mark if mark in PLAIN else "".join(f"%{byte:02x}" for byte in mark.encode()) for mark in user)
    if 0 < len(name) <= MAX_NAME:
        return name
    return f"%{hashlib.sha256(user.encode()).hexdigest()}"


class _told:  # noqa: N801
    """What the system refuses is a StorageError that names the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StorageError(f"{self._folder}: a voice message cannot be kept: {error.strerror}") from error


def _json(message: VoiceMessage, suffix: str = "") -> Path:
    return message.path.with_name(f"{message.id}{suffix}.json")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write(path: Path, message: VoiceMessage) -> None:
    """Write what is known of a message; it is on the disk when this returns."""
    values = {name: value for name, value in asdict(message).items() if name not in ("id", "path")}
    with path.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())


def _commit(recording: Path, message: VoiceMessage) -> None:
    """Have a recording be a message: its sound first, then the JSON that makes it one."""
    if recording.exists():
        with recording.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(recording, message.path)
    _write(_json(message, PART), message)
    os.replace(_json(message, PART), _json(message))
    _sync(message.path.parent)


def _sync(folder: Path) -> None:
    """Have renames in a folder reach the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _recover(folder: Path) -> None:
    """Keep what a killed process was recording, and clear away what is of no message."""
    for path in folder.glob(f"*{PART}.json"):
        message = _message(path, path.name.removesuffix(f"{PART}.json"))
        recording = folder / path.name.replace(".json", ".wav")
        if message is None or _json(message).exists():
            path.unlink()
        else:
            where = recording if recording.exists() else message.path
            duration_s = _duration_s(where)
            if duration_s:
                _commit(recording, replace(message, duration_s=duration_s))
            else:
                where.unlink(missing_ok=True)
                path.unlink()
    for path in folder.glob("*.wav"):
        if not path.with_suffix(".json").exists():
            path.unlink()


def _read(folder: Path) -> dict[str, VoiceMessage]:
    found = (_message(path, path.stem) for path in folder.glob("*.json"))
    return {message.id: message for message in found if message is not None and message.path.exists()}


def _message(path: Path, name: str) -> VoiceMessage | None:
    """What a JSON says; None where it is none."""
    try:
        values = json.loads(path.read_text("utf-8"))
        return VoiceMessage(
            name,
            path.with_name(f"{name}.wav"),
            str(values["caller_id"]),
            str(values["caller_name"]),
            float(values["received_at"]),
            float(values["duration_s"]),
            bool(values["heard"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _duration_s(path: Path) -> float:
    """How long a WAV of ours lasts; 0.0 where it has no sound."""
    try:
        with wave.open(str(path)) as file:
            return float(file.getnframes() / file.getframerate())
    except (OSError, EOFError, wave.Error):
        return 0.0
