"""A scriptable provider on the real stack: accounts that register and call out through it, and a mobile network behind it.

It challenges REGISTER and INVITE of its accounts, hands their calls to the script as `ScriptedCall`s (the provider's
gateway plays the mobile phone), and places calls to the contact that an account registered. How it deviates from a good
provider is set by attributes: statuses to refuse with, an expiry to force, credentials that were revoked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.server.profile import Refusal, profile
from trunkline.sip.capabilities import ALLOW, SDP
from trunkline.sip.endpoint import Flow, Headers, Message, NameAddr, RequestReceived, Uri, digest_ha1, read_number
from trunkline.testing.agent import Agent
from trunkline.testing.call import ScriptedCall
from trunkline.testing.mailbox import Mailbox
from trunkline.testing.refusals import refusal_of

__all__ = ["Account", "Itsp"]


@dataclass(slots=True)
class Account:
    """An account at the provider."""

    username: str
    password: str = field(repr=False)
    numbers: tuple[str, ...] = ()
    contact: Uri | None = None
    """Where it registered from; None while it is not registered."""
    flow: Flow | None = None
    expires_at_s: float = 0.0
    registrations: int = 0
    """REGISTERs that were granted."""


class Itsp(Agent):
    """A provider.

    Args:
        accounts: User name to password.
        realm: Its domain, the digest realm and the host part of its numbers.
        options: As for `Agent`.

    Attributes:
        refuse_register: Status that every REGISTER with good credentials gets instead of 200; 0 for none.
        refuse_invite: The same for INVITE.
        refuse_options: The same for OPTIONS.
        refuse_query: The same for a REGISTER without Contact.
        refuse_subscribe: The same for SUBSCRIBE.
        mailboxes: The voice mailbox of each account, by its name.
        refuse_domain: Status for a REGISTER or OPTIONS whose Request-URI is not in `domains`; 0 for none.
        domains: Its domains besides `realm`.
        options_headers: Further headers of the 200 to OPTIONS.
        options_sdp: The session description of the 200 to OPTIONS.
        register_headers: Further headers of the 200 to a REGISTER, as Service-Route.
        refusals: What INVITEs must be like, as a real provider has it: see `behave_as`.
        retry_after_s: Goes with these refusals as Retry-After, where not 0.
        min_expires_s: A REGISTER that asks for less gets 423.
        expires_s: What a REGISTER is granted at most.
        silent: Answers nothing at all.
        extra_contacts: Further Contact values in the 200 to a REGISTER, before the account's own.
        seen: Every request that arrived outside a dialog.
    """

    def __init__(self, accounts: Mapping[str, str], *, realm: str = "itsp.example", **options: Any) -> None:
        super().__init__("gateway", **options)
        self.realm = realm
        self.accounts = {name: Account(name, password) for name, password in accounts.items()}
        self.refuse_register = 0
        self.refuse_invite = 0
        self.refuse_options = 0
        self.refuse_query = 0
        self.refuse_subscribe = 0
        self.mailboxes = {name: Mailbox(f"sip:{name}@{realm}") for name in accounts}
        self.refuse_domain = 0
        self.domains: set[str] = set()
        self.options_headers: list[tuple[str, str]] = []
        self.options_sdp = b""
        self.register_headers: list[tuple[str, str]] = []
        self.refusals: Sequence[Refusal] = ()
        self.retry_after_s = 0
        self.min_expires_s = 0
        self.expires_s = 3600
        self.silent = False
        self.extra_contacts: list[str] = []
        self.seen: list[Message] = []
        self._register_seen = asyncio.Event()

    async def __aenter__(self) -> Itsp:
        await self.start()
        return self

    async def start(self) -> None:
        """Open its sockets and challenge everybody."""
        await super().start()
        self.challenge_everybody()

    def challenge_everybody(self) -> None:
        """Forget every nonce that was given out: what comes with an old one is stale or foreign."""
        self.endpoint.driver.set_challenge(
            self.realm,
            {"REGISTER": "everybody", "INVITE": "everybody", "SUBSCRIBE": "everybody", "*": "nobody"},
            (),
            (),
        )

    def behave_as(self, name: str) -> None:
        """Refuse from now on the INVITEs that a real provider refuses.

        Args:
            name: A line profile, as `sipgate@1`.

        Raises:
            ValueError: There is none of that name.
        """
        self.refusals = profile(name).refusals

    # --- accounts -----------------------------------------------------------------------------------------------------

    async def wait_registered(self, username: str, timeout_s: float = 5.0) -> Account:
        """Until the account is registered. TimeoutError when it is not in time."""
        account = self.accounts[username]
        async with asyncio.timeout(timeout_s):
            while not self._registered(account):
                self._register_seen.clear()
                await self._register_seen.wait()
        return account

    async def wait_unregistered(self, username: str, timeout_s: float = 5.0) -> None:
        """Until the account has taken its registration back. TimeoutError when it has not in time."""
        account = self.accounts[username]
        async with asyncio.timeout(timeout_s):
            while self._registered(account):
                self._register_seen.clear()
                await self._register_seen.wait()

    def _registered(self, account: Account) -> bool:
        return account.contact is not None and account.expires_at_s > asyncio.get_running_loop().time()

    def dial(
        self,
        username: str,
        *,
        number: str | None = None,
        caller_id: str,
        caller_name: str | None = None,
        headers: Headers = (),
    ) -> ScriptedCall:
        """Call an account from the mobile network: an INVITE to the contact that it registered.

        Args:
            username: The account.
            number: What was dialled; in the To. The account's name unless given.
            caller_id: The mobile's number.
            caller_name: Its display name.
            headers: Further headers of the INVITE, as P-Asserted-Identity.

        Raises:
            ValueError: The account is not registered.
        """
        account = self.accounts[username]
        if account.contact is None or account.flow is None:
            raise ValueError(f"{username} is not registered")
        return self.place(
            account.contact,
            account.flow,
            local=NameAddr(Uri("sip", caller_id, self.realm), caller_name),
            remote=NameAddr(Uri("sip", number or username, self.realm)),
            headers=headers,
        )

    # --- from the stack -----------------------------------------------------------------------------------------------

    def on_invite(self, request: RequestReceived) -> None:
        """An account calls out; queued as a `ScriptedCall` once its password is verified."""
        self.seen.append(request.message)
        if self.silent:
            return
        if self._verified(request) is None:
            return
        if self.refuse_invite:
            self.endpoint.respond(request.tx, self.refuse_invite, None, self._retry_after())
        elif broken := refusal_of(request.message, self.refusals):
            self.endpoint.respond(request.tx, broken.status, broken.reason)
        else:
            super().on_invite(request)

    def on_other(self, request: RequestReceived) -> None:
        """REGISTER; the rest as any agent."""
        self.seen.append(request.message)
        if self.silent:
            return
        if request.message.method == "REGISTER":
            self._on_register(request)
        elif request.message.method == "OPTIONS":
            self._on_options(request)
        elif request.message.method == "SUBSCRIBE":
            self._on_subscribe(request)
        else:
            super().on_other(request)

    def _on_options(self, request: RequestReceived) -> None:
        status = self.refuse_options or self._refuses_domain(request)
        if status:
            self.endpoint.respond(request.tx, status, None, self._retry_after())
            return
        described = [("Content-Type", SDP)] if self.options_sdp else []
        headers = [("Allow", ALLOW), *described, *self.options_headers]
        self.endpoint.respond(request.tx, 200, None, headers, self.options_sdp)

    def _on_subscribe(self, request: RequestReceived) -> None:
        account = self._verified(request)
        if account is None:
            return
        if self.refuse_subscribe:
            self.endpoint.respond(request.tx, self.refuse_subscribe, None, self._retry_after())
        else:
            self.mailboxes[account.username].subscribe(self.endpoint, request, self.contact)

    def _refuses_domain(self, request: RequestReceived) -> int:
        ours = {self.realm, self.address, *self.domains}
        return 0 if request.message.uri.host in ours else self.refuse_domain

    def _on_register(self, request: RequestReceived) -> None:
        account = self._verified(request)
        if account is None:
            return
        query = self.refuse_query if not request.message.contacts else 0
        if status := self._refuses_domain(request) or self.refuse_register or query:
            self.endpoint.respond(request.tx, status, None, self._retry_after())
            return
        asked_s = self._asked_s(request.message)
        if 0 < asked_s < self.min_expires_s:
            self.endpoint.respond(request.tx, 423, None, [("Min-Expires", str(self.min_expires_s))])
            return
        self._bind(account, request, min(asked_s, self.expires_s))

    def _bind(self, account: Account, request: RequestReceived, granted_s: int) -> None:
        contacts = request.message.contacts
        own: list[tuple[str, str]] = []
        if not contacts:
            # RFC 3261 §10.2.3: it asks, and changes nothing
            if account.contact is not None:
                own = [("Contact", f"<{account.contact}>")]
        elif granted_s > 0:
            account.contact, account.flow = contacts[0].uri, request.flow
            account.expires_at_s = asyncio.get_running_loop().time() + granted_s
            account.registrations += 1
            own = [("Contact", f"<{contacts[0].uri}>;expires={granted_s}")]
        else:
            account.contact = account.flow = None
        others = [("Contact", value) for value in self.extra_contacts]
        self.endpoint.respond(request.tx, 200, None, [*others, *own, *self.register_headers])
        self._register_seen.set()

    @staticmethod
    def _asked_s(message: Message) -> int:
        contacts = message.contacts
        text = contacts[0].param("expires") if contacts else None
        return (read_number(text) if text else message.integer("Expires")) or 0

    def _retry_after(self) -> list[tuple[str, str]]:
        return [("Retry-After", str(self.retry_after_s))] if self.retry_after_s else []

    def _verified(self, request: RequestReceived) -> Account | None:
        """The account whose password the request proves; None after it was refused."""
        credentials = request.credentials
        account = self.accounts.get(credentials.username) if credentials is not None else None
        if account is None or credentials is None:
            self.endpoint.respond(request.tx, 403)
            return None
        ha1 = digest_ha1(account.username, self.realm, account.password, credentials.algorithm)
        if not credentials.verify(ha1, request.message.method):
            self.endpoint.driver.challenge(request.tx)
            return None
        return account
