"""What an application starts by itself: calls, messages, the numbers of a mailbox's lamp. Part of the facade.

`SipServer` is made of it; everything is handed to what runs between start and stop.
"""

from __future__ import annotations

from trunkline.calls.destinations import Destination, ToLine, ToUser
from trunkline.calls.headers import GivenHeaders, checked_headers
from trunkline.calls.peers import Placing
from trunkline.calls.saying import checked_wanted
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.messaging.courier import Letter, MessageResult
from trunkline.messaging.message import TEXT, body_headers, destination
from trunkline.messaging.message_summary import Waiting
from trunkline.server.config import ServerSettings
from trunkline.server.handlers import Handlers
from trunkline.server.routing import EmergencyCalls
from trunkline.server.running import Running
from trunkline.server.users import Users

__all__ = ["Originating"]

DIAL_TIMEOUT_S = 60.0


class Originating(Handlers):
    """Begins calls and messages on a server that runs."""

    settings: ServerSettings
    _users: Users

    @property
    def _now(self) -> Running:
        """What runs; TrunklineError where nothing does."""
        raise NotImplementedError

    # --- calls --------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[CallSession, ...]:
        """The sessions that are not closed, oldest first."""
        return self._now.exchange.sessions

    def is_emergency(self, number: str) -> bool:
        """Whether a number is one of `emergency_numbers`, however it is spelled."""
        return EmergencyCalls(self.settings.emergency_numbers).has(number)

    async def dial(
        self,
        number: str,
        *,
        line: str | None = None,
        to: Destination | None = None,
        caller_name: str = "",
        caller_id: str = "",
        privacy: bool | None = None,
        headers: GivenHeaders | None = None,
        follow_redirects: int | None = None,
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> CallSession:
        """Call a number through a line or line group, or several at once or in turn, as a session of its own.

        Args:
            number: What is dialled, where a destination names no number of its own.
            line: The name of the line or group; or
            to: several destinations, as `CallSession.accept` takes them.
            caller_name: The display name that the callee is shown, where the line's settings let it.
            caller_id: The number that the callee is shown, where the line's settings let it.
            privacy: Whether the call is anonymous; as the line has it unless given.
            headers: Header fields for the INVITE, as `{"User-to-User": "..."}` (RFC 7433); pairs where a name comes several
            times.
            follow_redirects: How many targets of a 3xx are tried, 0 to 10; as the line or user has it unless given.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session; its channel ZERO is the callee.

        Raises:
            CallFailed: `Busy`, `Declined`, `NoAnswer`, or another failure with its status.
            CallEnded: The session was closed before the answer.
            ValueError: Not exactly one of `line` and `to` is given, a text has a line break, or a header field is not for
            the application to set.
        """
        destination = ToLine(line) if line is not None else to
        if destination is None or (line is not None and to is not None):
            raise ValueError("exactly one of line and to is to be given")
        own = checked_headers(headers)
        said = Placing(
            PeerType.LINE,
            "",
            number,
            caller_name,
            caller_id,
            privacy=privacy,
            headers=own,
            follow_redirects=follow_redirects,
        )
        whole = checked_wanted(destination, said)
        return await self._now.exchange.dial(whole, timeout_s=timeout_s)

    async def dial_user(
        self,
        name: str,
        *,
        caller_name: str = "",
        caller_id: str = "",
        headers: GivenHeaders | None = None,
        follow_redirects: int | None = None,
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> CallSession:
        """Call a user, all of whose phones ring, as a session of its own.

        Args:
            name: The user.
            caller_name: The display name that the phone shows.
            caller_id: The number that the phone shows.
            headers: Header fields for the INVITE.
            follow_redirects: How many targets of a 3xx are tried, 0 to 10; as the user has it unless given.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session; its channel ZERO is the user's phone.

        Raises:
            CallFailed: `Busy`, `Declined`, `NoAnswer`, `NotRegistered`, or another failure with its status.
            CallEnded: The session was closed before the answer.
            ValueError: A header field is not for the application to set.
        """
        own = checked_headers(headers)
        said = Placing(
            PeerType.USER, name, name, caller_name, caller_id, headers=own, follow_redirects=follow_redirects
        )
        return await self._now.exchange.dial(checked_wanted(ToUser(name), said), timeout_s=timeout_s)

    # --- messages and lamps -------------------------------------------------------------------------------------------

    async def send_message(
        self,
        text: str | bytes,
        *,
        to_user: str | None = None,
        to_line: str | None = None,
        number: str = "",
        from_name: str = "",
        from_id: str = "",
        content_type: str = TEXT,
    ) -> MessageResult:
        """Send a message to all phones of a user, or to a number through a line, and wait for what becomes of it.

        For a user who is away it waits in the store. The events of messages are told too.

        Args:
            text: What it says; text goes as UTF-8, bytes as they are.
            to_user: The user. Exactly one of this and `to_line` is given.
            to_line: The line.
            number: To whom, over the line.
            from_name: The sender's display name.
            from_id: What the sender is known by; anonymous to a user, the line's account to a line unless given.
            content_type: What it is.

        Returns:
            Its status: `delivered`, `stored`, or the failure in words.

        Raises:
            ValueError: Not exactly one of `to_user` and `to_line` is given, or the type cannot be sent.
        """
        body = text.encode() if isinstance(text, str) else text
        letter = Letter(from_name, from_id, tuple(body_headers(content_type)), body)
        return await self._now.messaging.messages.send(letter, destination(to_user, to_line, number))

    def set_message_waiting(
        self, user: str, *, new: int, old: int = 0, urgent_new: int = 0, urgent_old: int = 0
    ) -> None:
        """Say how many voice messages wait for a user; its phones show it (RFC 3842). Kept while the server runs.

        Args:
            user: Whose.
            new: Messages not heard yet.
            old: Messages heard.
            urgent_new: How many of the new ones are urgent.
            urgent_old: How many of the old ones are.

        Raises:
            UnknownPeer: There is no such user.
            ValueError: A count is negative, or more are urgent than there are.
        """
        waiting = Waiting(new, old, urgent_new, urgent_old)
        self._now.messaging.summary.set(self._users[user].name, waiting)
