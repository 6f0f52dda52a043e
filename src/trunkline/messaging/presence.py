"""Presence: PUBLISH (RFC 3903) of PIDF documents (RFC 3863), and the event package `presence` (RFC 3856) that tells them.

A user publishes for itself. What is told is composed of all its publications; a user that publishes nothing is open
while a phone of it is registered. Publications do not survive a restart: a phone's refresh gets 412 then and it
publishes anew (RFC 3903 §4.4).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from trunkline.messaging.peers import Directory
from trunkline.messaging.watching import Watching
from trunkline.sip.endpoint import Endpoint, Message, PresenceDocument, RequestReceived, SipParseError
from trunkline.sip.notifier import Body
from trunkline.sip.subscription import EventType, Expiry, SubscriptionRefused

__all__ = ["CONTENT_TYPE", "Presence"]

CONTENT_TYPE = "application/pidf+xml"

MAX_PUBLICATIONS = 20
"""Of one user; further ones get 503."""

PIDF = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
RPID = "urn:ietf:params:xml:ns:pidf:rpid"


@dataclass(slots=True)
class _Publication:
    """One publisher's word."""

    document: PresenceDocument
    timer: asyncio.TimerHandle


class Presence:
    """The package `presence`, and what is published for it.

    Args:
        endpoint: Answers PUBLISH.
        watching: Tells whoever watches.
        directory: Knows users.
    """

    name = "presence"
    content_type = CONTENT_TYPE
    expiry = Expiry(60, 3_600, 7_200)  # RFC 3856 §6.4
    min_interval_s = 5.0  # RFC 3856 §6.10

    def __init__(self, endpoint: Endpoint, watching: Watching, directory: Directory) -> None:
        self._endpoint = endpoint
        self._watching = watching
        self._directory = directory
        self._published: dict[str, dict[str, _Publication]] = {}
        watching.add(self)

    # --- PUBLISH ----------------------------------------------------------------------------------------------------

    def publish(self, request: RequestReceived) -> None:
        """Take a PUBLISH; it is answered now (RFC 3903 §6)."""
        try:
            self._take(request)
        except SubscriptionRefused as refused:
            self._endpoint.respond(request.tx, refused.status, refused.reason or None, refused.headers)

    def _take(self, request: RequestReceived) -> None:
        message = request.message
        event = EventType.of(message)
        if event is None or event.package != self.name:
            # RFC 3903 §6, step 2
            raise SubscriptionRefused(489, "", [("Allow-Events", self.name)])
        user = self._directory.proven_user(request)
        if user is None:
            return
        if self._resource(request) != user:
            raise SubscriptionRefused(403, f"{user} publishes for itself alone")
        tag = self._matched(message, user)
        expires_s = self.expiry.grant_s(message)
        document = _document(message) if message.body else None
        if document is None and tag is None:
            raise SubscriptionRefused(400, "A first publication needs a document")
        new_tag = self._apply(user, tag, document, expires_s)
        self._endpoint.respond(request.tx, 200, None, [("SIP-ETag", new_tag), ("Expires", str(expires_s))])

    def _resource(self, request: RequestReceived) -> str:
        try:
            user = self._directory.user_named(request.message.uri, request.flow)
        except SipParseError as error:
            raise SubscriptionRefused(error.status or 400, error.reason) from error
        if user is None:
            raise SubscriptionRefused(404)
        return user

    def _matched(self, message: Message, user: str) -> str | None:
        """The publication that is refreshed, changed or removed; None for a new one (RFC 3903 §6, step 3)."""
        tags = message.values("SIP-If-Match")
        published = self._published.get(user, {})
        if not tags:
            if len(published) >= MAX_PUBLICATIONS:
                raise SubscriptionRefused(503, f"No more than {MAX_PUBLICATIONS} publications")
            return None
        if len(tags) > 1:
            raise SubscriptionRefused(400, "One SIP-If-Match alone")
        if tags[0] not in published:
            raise SubscriptionRefused(412)
        return tags[0]

    def _apply(self, user: str, tag: str | None, document: PresenceDocument | None, expires_s: int) -> str:
        new_tag = self._endpoint.driver.mint_tag()
        before = self._composed(user)
        published = self._published.setdefault(user, {})
        old = published.pop(tag, None) if tag is not None else None
        if old is not None:
            old.timer.cancel()
            document = document or old.document
        if expires_s and document is not None:
            # each answer has a tag of its own (RFC 3903 §4.1)
            timer = asyncio.get_running_loop().call_later(expires_s, self._lapse, user, new_tag)
            published[new_tag] = _Publication(document, timer)
        self._tidy(user)
        self._tell(user, before)
        return new_tag

    def _lapse(self, user: str, tag: str) -> None:
        before = self._composed(user)
        self._published.get(user, {}).pop(tag, None)
        self._tidy(user)
        self._tell(user, before)

    def _tidy(self, user: str) -> None:
        if not self._published.get(user):
            self._published.pop(user, None)

    def _tell(self, user: str, before: str) -> None:
        if self._composed(user) != before:
            self._watching.changed(self.name, user)

    # --- from the server --------------------------------------------------------------------------------------------

    def registration_changed(self, user: str) -> None:
        """A phone of a user was registered, or is no more."""
        if user not in self._published:
            self._watching.changed(self.name, user)

    def drop_user(self, user: str) -> None:
        """The user is gone, and what it published."""
        for publication in self._published.pop(user, {}).values():
            publication.timer.cancel()

    def close(self) -> None:
        """Forget everything."""
        for user in list(self._published):
            self.drop_user(user)

    # --- what is told -----------------------------------------------------------------------------------------------

    def source(self, watcher: str, resource: str) -> _PresenceSource:
        """What `watcher` is told of `resource`: every user may see every other."""
        return _PresenceSource(self, resource)

    def document_of(self, user: str) -> bytes:
        """The composed PIDF of a user."""
        return self._composed(user).encode()

    def _composed(self, user: str) -> str:
        published = [publication.document for publication in self._published.get(user, {}).values()]
        address = str(self._directory.address_of(user))
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:rpid="{RPID}"'
        parts = [*_tuples(published, address), _person(published), *_notes(published)]
        if not published:
            basic = "open" if self._directory.is_registered(user) else "closed"
            parts = [_tuple("registration", basic, address, ())]
        return f"{head} entity={quoteattr(address)}>\n{''.join(parts)}</presence>\n"


class _PresenceSource:
    """Presence documents are told whole each time (RFC 3856 §6.5)."""

    def __init__(self, presence: Presence, user: str) -> None:
        self._presence = presence
        self._user = user

    def body(self, *, full: bool) -> Body:
        return Body(CONTENT_TYPE, self._presence.document_of(self._user))


def _document(message: Message) -> PresenceDocument:
    if message.content_type != CONTENT_TYPE:
        # RFC 3903 §6, step 5
        raise SubscriptionRefused(415, "", [("Accept", CONTENT_TYPE)])
    try:
        return PresenceDocument.parse(message.body)
    except SipParseError as error:
        raise SubscriptionRefused(400, f"No presence document: {error.reason}") from error


def _tuples(published: Sequence[PresenceDocument], address: str) -> Iterator[str]:
    # Contacts are told as the address of record: where a phone is is nobody's business.
    numbers = itertools.count(1)
    for document in published:
        for one in document.tuples:
            basic = {True: "open", False: "closed", None: ""}[one.open]
            yield _tuple(f"t{next(numbers)}", basic, address, one.notes)


def _tuple(name: str, basic: str, contact: str, notes: Sequence[str]) -> str:
    status = f"<status><basic>{basic}</basic></status>" if basic else "<status/>"
    noted = "".join(f"<note>{_text(note)}</note>" for note in notes)
    return f"<tuple id={quoteattr(name)}>{status}<contact>{escape(contact)}</contact>{noted}</tuple>\n"


def _person(published: Sequence[PresenceDocument]) -> str:
    names = list(dict.fromkeys(name for document in published for name in document.activities))
    known = "".join(f"<rpid:{name}/>" for name in names if name in ACTIVITIES)
    return f'<dm:person id="person"><rpid:activities>{known}</rpid:activities></dm:person>\n' if known else ""


def _notes(published: Sequence[PresenceDocument]) -> Iterator[str]:
    for note in dict.fromkeys(note for document in published for note in document.notes):
        yield f"<note>{_text(note)}</note>\n"


def _text(text: str) -> str:
    """Text as it may stand in XML 1.0, which has no control characters (§2.2 there)."""
    return escape("".join(letter for letter in text if letter >= " " or letter in "\t\n"))


ACTIVITIES = frozenset(
    {
        "appointment",
        "away",
        "breakfast",
        "busy",
        "dinner",
        "holiday",
        "in-transit",
        "looking-for-work",
        "lunch",
        "meal",
        "meeting",
        "on-the-phone",
        "performance",
        "permanent-absence",
        "playing",
        "presentation",
        "shopping",
        "sleeping",
        "spectator",
        "steering",
        "travel",
        "tv",
        "unknown",
        "vacation",
        "working",
        "worship",
    }
)
"""The activities of RFC 4480 §3.2 that stand alone; others are not told."""
