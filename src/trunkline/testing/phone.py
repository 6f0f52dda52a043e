"""A scriptable SIP phone on the real stack: it registers, dials, rings, answers, holds, hangs up, sends a tone and says what it hears.

For the tests of trunkline and of everybody's call flows. It is as simple as phones are: one account, a server that it
sends all requests to, G.711.
"""

from __future__ import annotations

import asyncio
from typing import Any

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Flow, Headers, Message, NameAddr, RequestReceived, Uri, read_number
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import EventType
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.watch import Watch, ask

__all__ = ["Phone", "RegistrationRefused"]

MAX_MESSAGES = 1_000
"""Messages that a phone keeps for its test; the oldest go."""


class RegistrationRefused(Exception):
    """The registrar refused.

    Args:
        status: Its final status; 408 for silence, 503 for a broken transport.
        reason: Its reason phrase.
        message: The response; None when none came.
    """

    def __init__(self, status: int, reason: str, message: Message | None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.message = message


class Phone(Agent):
    """One phone with one account.

    Args:
        user: The account's name; also its digest user name.
        password: Its password.
        server: IP address and port of the server.
        realm: The domain of its addresses.
        instance: Its +sip.instance, a URN (RFC 5626 §4.1).
        options: As for `Agent`.

    Example:
        async with Phone("alice", "secret", ("127.0.0.1", 5060), realm="pbx.example") as alice:
            await alice.register()
            call = alice.dial("bob")
            await call.wait_answered()
    """

    def __init__(
        self,
        user: str,
        password: str,
        server: tuple[str, int],
        *,
        realm: str,
        instance: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(user, **options)
        self.server = server
        self.realm = realm
        self.instance = instance
        self.messages: list[Message] = []
        """The MESSAGEs that arrived and were taken."""
        self.message_status = 200
        """What it answers a MESSAGE with; 0 for nothing."""
        self._credentials = ClientCredentials(user, password)
        self._register_cseq = 0
        self._register_call_id = ""
        self._refresh: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Phone:
        await self.start()
        return self

    @property
    def server_flow(self) -> Flow:
        """Where all its requests go."""
        return Flow(self.transport, self.server)

    def address_of(self, user: str, display_name: str | None = None) -> NameAddr:
        """The address of a user or number at its server."""
        return NameAddr(Uri("sip", user, self.realm), display_name)

    # --- registration -------------------------------------------------------------------------------------------------

    async def register(self, expires_s: int = 3600, *, timeout_s: float = 5.0, headers: Headers = ()) -> Message:
        """Register and keep it up until `unregister` or `stop`.

        Args:
            expires_s: What it asks for, in seconds; 0 unregisters.
            timeout_s: How long to wait for the answer.
            headers: Further headers of the REGISTER.

        Returns:
            The 200.

        Raises:
            RegistrationRefused: The registrar said no, or nothing.
        """
        done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._register_call_id = self._register_call_id or self.endpoint.driver.mint_call_id()

        def refused(failure: Failure) -> None:
            if not done.done():
                done.set_exception(RegistrationRefused(failure.status, failure.reason, failure.message))

        ClientRequest(
            self.endpoint,
            "REGISTER",
            lambda: self._register_request(expires_s, headers),
            self.server_flow,
            credentials=self._credentials,
            on_response=lambda message, flow: None if done.done() or message.status < 200 else done.set_result(message),
            on_failure=refused,
        ).start()
        async with asyncio.timeout(timeout_s):
            message = await done
        self._keep_registered(expires_s, message)
        return message

    async def unregister(self, *, timeout_s: float = 5.0) -> Message:
        """Take the registration back."""
        return await self.register(0, timeout_s=timeout_s)

    async def stop(self) -> None:
        """Close its sockets; its registration is left to lapse."""
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        await super().stop()

    def _register_request(self, expires_s: int, headers: Headers) -> tuple[str, list[tuple[str, str]]]:
        self._register_cseq += 1
        own = str(self.address_of(self.name))
        contact = self.contact + (f';+sip.instance="<{self.instance}>"' if self.instance else "")
        return f"sip:{self.realm}", [
            ("From", f"{own};tag={self.endpoint.driver.mint_tag()}"),
            ("To", own),
            ("Call-ID", self._register_call_id),
            ("CSeq", f"{self._register_cseq} REGISTER"),
            ("Contact", contact),
            ("Expires", str(expires_s)),
            *headers,
        ]

    def _keep_registered(self, expires_s: int, message: Message) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        granted_s = self._granted_s(message, expires_s)
        if granted_s > 0:
            loop = asyncio.get_running_loop()
            self._refresh = loop.call_later(granted_s * 0.8, self._refresh_now, expires_s)

    def _granted_s(self, message: Message, asked_s: int) -> int:
        for contact in message.contacts:
            if contact.uri.host == self.address and contact.uri.port == self.port:
                text = contact.param("expires")
                return (read_number(text) or 0) if text else asked_s
        return 0

    def _refresh_now(self, expires_s: int) -> None:
        self._refresh = None
        ClientRequest(
            self.endpoint,
            "REGISTER",
            lambda: self._register_request(expires_s, ()),
            self.server_flow,
            credentials=self._credentials,
            on_response=lambda message, flow: (
                self._keep_registered(expires_s, message) if message.status >= 200 else None
            ),
            on_failure=lambda failure: None,
        ).start()

    # --- calls --------------------------------------------------------------------------------------------------------

    def dial(
        self, number: str, *, display_name: str | None = None, headers: Headers = (), offerless: bool = False
    ) -> ScriptedCall:
        """Call a number or user at its server; without a description where it is `offerless`."""
        return self.place(
            Uri("sip", number, self.realm),
            self.server_flow,
            local=self.address_of(self.name, display_name),
            remote=self.address_of(number),
            credentials=self._credentials,
            headers=headers,
            offerless=offerless,
        )

    async def call(self, number: str, *, timeout_s: float = 5.0) -> ScriptedCall:
        """Call a number and wait for the answer.

        Raises:
            CallRefused: It failed.
        """
        call = self.dial(number)
        try:
            await call.wait_answered(timeout_s)
        except (TimeoutError, CallRefused):
            call.hangup()
            raise
        return call

    # --- messages, presence, lamps ------------------------------------------------------------------------------------

    async def send_message(
        self, to: str, text: str, *, content_type: str = "text/plain", headers: Headers = ()
    ) -> Message:
        """Send a MESSAGE to a user or number at its server; returns the 2xx. RequestRefused where it gets none."""
        return await self._ask("MESSAGE", to, [("Content-Type", content_type), *headers], text.encode())

    async def publish(self, document: str = "", *, tag: str = "", expires_s: int = 3600, headers: Headers = ()) -> str:
        """Publish its presence, or refresh, change or remove (with 0 seconds) what it published under `tag`.

        Returns:
            The tag of the publication from now on.

        Raises:
            RequestRefused: The server said no.
        """
        fields = [("Event", "presence"), ("Expires", str(expires_s)), *headers]
        if tag:
            fields.append(("SIP-If-Match", tag))
        if document:
            fields.append(("Content-Type", "application/pidf+xml"))
        message = await self._ask("PUBLISH", self.name, fields, document.encode())
        return message.header("SIP-ETag") or ""

    def subscribe(self, package: str, user: str, *, expires_s: int = 3600, headers: Headers = ()) -> Watch:
        """Watch a user at its server; what it is told is read from the result."""
        watch = Watch()
        watch.subscriber = Subscriber(
            self.endpoint,
            watch,
            event=EventType(package),
            contact=self.contact,
            target=Uri("sip", user, self.realm),
            flow=self.server_flow,
            local=self.address_of(self.name),
            remote=self.address_of(user),
            expires_s=expires_s,
            headers=headers,
            credentials=self._credentials,
        )
        watch.subscriber.start()
        return watch

    def on_other(self, request: RequestReceived) -> None:
        """MESSAGE; the rest as any agent."""
        if request.message.method != "MESSAGE":
            super().on_other(request)
            return
        if 200 <= self.message_status < 300:
            self.messages.append(request.message)
            del self.messages[:-MAX_MESSAGES]
        if self.message_status:
            self.endpoint.respond(request.tx, self.message_status)

    async def _ask(self, method: str, to: str, headers: Headers, body: bytes) -> Message:
        return await ask(
            self.endpoint,
            method,
            str(Uri("sip", to, self.realm)),
            self.server_flow,
            local=str(self.address_of(self.name)),
            remote=str(self.address_of(to)),
            headers=headers,
            body=body,
            credentials=self._credentials,
        )
