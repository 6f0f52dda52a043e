"""Messaging as part of a running server: the parts of `trunkline.messaging`, and what they ask of users and lines.

`Running` makes one `Messaging`, hands it MESSAGE, SUBSCRIBE and PUBLISH, and tells it who registers and who is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from trunkline.calls.peers import Party, PlacementError, Placing
from trunkline.calls.peers import Target as CallTarget
from trunkline.constants import PeerType
from trunkline.events import Event, RegisterUserSuccess, UnregisterUser
from trunkline.messaging.dialog_info import Lamps
from trunkline.messaging.mailbox import Mailbox, MessageStore
from trunkline.messaging.message import Messages, MessagesOptions
from trunkline.messaging.message_summary import MessageSummary
from trunkline.messaging.peers import Sender, Target, Unreachable
from trunkline.messaging.presence import Presence
from trunkline.messaging.watching import Watching
from trunkline.server.addresses import OwnAddresses
from trunkline.server.auth import Authenticator
from trunkline.server.config import ServerSettings
from trunkline.server.identify import Caller, Identifier, Unproven
from trunkline.server.registrar import Registrar
from trunkline.server.routing import Routing
from trunkline.server.users import Users
from trunkline.sip.endpoint import Endpoint, Flow, RequestReceived, Uri
from trunkline.storage.records import MessageRecord

__all__ = ["Messaging", "Neighbourhood"]


class Neighbourhood:
    """Implements `messaging.peers.Directory`.

    Args:
        users: The phones' accounts.
        registrar: Knows where they are.
        routing: Finds targets.
        addresses: Knows what is ours.
        authenticator: Verifies users.
        realm: Of the users' addresses.
        mint_token: Makes user parts of Contacts.
    """

    def __init__(
        self,
        users: Users,
        registrar: Registrar,
        routing: Routing,
        addresses: OwnAddresses,
        authenticator: Authenticator,
        *,
        realm: str,
        mint_token: Callable[[], str],
    ) -> None:
        self._users = users
        self._registrar = registrar
        self._routing = routing
        self._addresses = addresses
        self._authenticator = authenticator
        self._realm = realm
        self._mint_token = mint_token

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        return name in self._users

    def address_of(self, user: str) -> Uri:
        """A user's address of record."""
        return Uri("sip", user, self._realm)

    def user_named(self, uri: Uri, flow: Flow) -> str | None:
        """The user that a URI in a message over `flow` names."""
        user = self._users.find(uri.user)
        return user.name if user is not None and self._addresses.is_ours(uri, flow) else None

    def is_registered(self, user: str) -> bool:
        """Whether a phone of the user is registered."""
        return bool(self._registrar.bindings(user))

    def contact(self, flow: Flow) -> str:
        """Our Contact value for a peer on `flow`, with node and worker in its user part."""
        return self._addresses.contact(flow, Party(PeerType.USER, "", ()), self._mint_token())

    def proven_user(self, request: RequestReceived) -> str | None:
        """The user whose password a request proves; None after it has been challenged."""
        user = self._authenticator.proves(request)
        if user is None:
            self._authenticator.challenge(request)
        return user.name if user is not None else None

    def user_targets(self, user: str, sender_name: str, sender_id: str) -> Sequence[Target]:
        """The user's phones. Unreachable (404) where there is no such user."""
        if user not in self._users:
            raise Unreachable(404, f"no user {user}")
        placing = Placing(PeerType.USER, user, user, sender_name, sender_id)
        return [_target(found) for found in self._routing.user_targets(placing)]

    async def line_target(self, line: str, number: str, sender_name: str, sender_id: str) -> Target:
        """The line's server. Unreachable where the line cannot be used."""
        try:
            return _target(await self._routing.message_target(line, number, sender_name, sender_id))
        except PlacementError as error:
            raise Unreachable(error.status, error.reason) from error


def _target(target: CallTarget) -> Target:
    return Target(target.uri, target.flow, target.local, target.remote, target.headers, target.party.credentials)


class Messaging:
    """The parts of messaging.

    Args:
        endpoint: Where all of it happens.
        settings: The server's options.
        directory: Knows users and lines.
        identifier: Tells who sent a message.
        authenticator: Challenges.
        emit: Takes events.
        wall_clock: Seconds since the epoch.
        store: Keeps messages over a restart; None for none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ServerSettings,
        directory: Neighbourhood,
        identifier: Identifier,
        authenticator: Authenticator,
        emit: Callable[[Event], None],
        *,
        wall_clock: Callable[[], float],
        store: MessageStore | None,
    ) -> None:
        self._endpoint = endpoint
        self._identifier = identifier
        self._authenticator = authenticator
        self.watching = Watching(endpoint, directory)
        self.lamps = Lamps(self.watching, directory, shows_party=settings.lamps_show_party)
        self.summary = MessageSummary(self.watching, directory)
        self.presence = Presence(endpoint, self.watching, directory)
        self._directory = directory
        self._mailbox = Mailbox(
            wall_clock=wall_clock,
            per_user=settings.stored_messages,
            max_age_s=settings.stored_messages_s,
            store=store,
        )
        options = MessagesOptions(settings.message_bytes)
        self.messages = Messages(endpoint, directory, self._mailbox, emit, wall_clock=wall_clock, options=options)

    def restore(self, records: Iterable[MessageRecord]) -> None:
        """Take back the messages that wait."""
        self._mailbox.restore(records, self._directory.has_user)

    def message(self, request: RequestReceived) -> None:
        """Take a MESSAGE."""
        found = self._identifier.identify(request)
        if isinstance(found, Caller):
            party = found.party
            sender = Sender(party.peer_type, party.name, found.caller_name, found.caller_id, found.dial_number)
            self.messages.receive(request, sender)
        elif isinstance(found, Unproven):
            self._authenticator.challenge(request)
        else:
            self._endpoint.respond(request.tx, found.status, found.reason)

    def heard(self, event: Event) -> None:
        """An event of the registrar: presence, and messages that wait."""
        if isinstance(event, RegisterUserSuccess):
            if not event.refresh:
                self.presence.registration_changed(event.user)
            self.messages.registered(event.user)
        elif isinstance(event, UnregisterUser):
            self.presence.registration_changed(event.user)

    def drop_user(self, user: str) -> None:
        """A user is gone."""
        self.watching.drop_user(user)
        self.summary.drop_user(user)
        self.presence.drop_user(user)
        self.messages.drop_user(user)

    async def close(self) -> None:
        """Stop timers and tasks; what waits stays stored."""
        self.watching.close()
        self.presence.close()
        await self.messages.close()
