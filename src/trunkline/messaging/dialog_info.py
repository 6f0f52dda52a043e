"""Busy lamps: the event package `dialog` (RFC 4235), fed with the states of users' calls.

The server says after each event of a call what its users' dialogs look like (`Lamps.show`); whoever watches a user is
told what changed. Who is at the other end is told only where the server's options allow it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from trunkline.messaging.peers import Directory
from trunkline.messaging.watching import Watching
from trunkline.sip.endpoint import Uri
from trunkline.sip.notifier import Body
from trunkline.sip.subscription import Expiry

__all__ = ["CONTENT_TYPE", "DialogState", "LampState", "Lamps"]

CONTENT_TYPE = "application/dialog-info+xml"

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"

LampState = Literal["trying", "proceeding", "early", "confirmed", "terminated"]
"""The states of RFC 4235 §3.7.1."""


@dataclass(frozen=True, slots=True)
class DialogState:
    """One dialog of a user."""

    id: str
    """Unique among the user's dialogs while the server runs."""
    state: LampState
    direction: Literal["initiator", "recipient"]
    """Whether the user called or was called."""
    remote_id: str = ""
    """The other party's number or name."""
    remote_name: str = ""


class Lamps:
    """The package `dialog`.

    Args:
        watching: Tells whoever watches.
        directory: Knows users' addresses.
        shows_party: Whether the other party is told.
    """

    name = "dialog"
    content_type = CONTENT_TYPE
    expiry = Expiry(60, 3_600, 7_200)
    min_interval_s = 1.0  # RFC 4235 §3.9

    def __init__(self, watching: Watching, directory: Directory, *, shows_party: bool = False) -> None:
        self._watching = watching
        self._directory = directory
        self._shows_party = shows_party
        self._by_call: dict[Hashable, dict[tuple[str, str], DialogState]] = {}
        self._by_user: dict[str, dict[str, DialogState]] = {}
        watching.add(self)

    def show(self, call: Hashable, dialogs: Sequence[tuple[str, DialogState]]) -> None:
        """Say what the dialogs of a call are now: of which user each is; none are left when it has ended.

        Args:
            call: The call that they belong to.
            dialogs: User and dialog, in place of all that was said of this call before.
        """
        if not dialogs and call not in self._by_call:
            return
        before = self._by_call.pop(call, {})
        now = {(user, dialog.id): dialog for user, dialog in dialogs if dialog.state != "terminated"}
        if now:
            self._by_call[call] = now
        changed = {key[0] for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
        for user, dialog_id in before.keys() - now.keys():
            self._by_user[user].pop(dialog_id, None)
            if not self._by_user[user]:
                del self._by_user[user]
        for (user, dialog_id), dialog in now.items():
            self._by_user.setdefault(user, {})[dialog_id] = dialog
        for user in sorted(changed):
            self._watching.changed(self.name, user)

    def of(self, user: str) -> Mapping[str, DialogState]:
        """The user's dialogs that are not over, by id."""
        return self._by_user.get(user, {})

    def source(self, watcher: str, resource: str) -> _LampSource:
        """What `watcher` is told of `resource`: every user may see every lamp."""
        return _LampSource(self, self._directory.address_of(resource), resource, self._shows_party)


class _LampSource:
    """What one subscription was told."""

    def __init__(self, lamps: Lamps, entity: Uri, user: str, shows_party: bool) -> None:
        self._lamps = lamps
        self._entity = entity
        self._user = user
        self._shows_party = shows_party
        self._version = -1
        self._told: dict[str, DialogState] = {}

    def body(self, *, full: bool) -> Body:
        # RFC 4235 §4.3: a partial document has the dialogs that changed, the ended ones as terminated
        now = dict(self._lamps.of(self._user))
        listed = list(now.values()) if full else self._changed(now)
        self._told = now
        self._version += 1
        return Body(CONTENT_TYPE, self._document("full" if full else "partial", listed).encode())

    def _changed(self, now: Mapping[str, DialogState]) -> list[DialogState]:
        ended = [
            DialogState(old.id, "terminated", old.direction, old.remote_id, old.remote_name)
            for key, old in self._told.items()
            if key not in now
        ]
        return ended + [dialog for key, dialog in now.items() if self._told.get(key) != dialog]

    def _document(self, state: str, dialogs: Sequence[DialogState]) -> str:
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<dialog-info xmlns="{NAMESPACE}" version="{self._version}"'
        body = "".join(self._dialog(dialog) for dialog in dialogs)
        return f'{head} state="{state}" entity={quoteattr(str(self._entity))}>\n{body}</dialog-info>\n'

    def _dialog(self, dialog: DialogState) -> str:
        remote = _remote(dialog, self._entity) if self._shows_party and dialog.remote_id else ""
        return (
            f'<dialog id={quoteattr(dialog.id)} direction="{dialog.direction}">'
            f"<state>{dialog.state}</state>{remote}</dialog>\n"
        )


def _remote(dialog: DialogState, entity: Uri) -> str:
    uri = str(entity.replace(user=dialog.remote_id))
    display = f" display={quoteattr(dialog.remote_name)}" if dialog.remote_name else ""
    return f"<remote><identity{display}>{escape(uri)}</identity></remote>"
