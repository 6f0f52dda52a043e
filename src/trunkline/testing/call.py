"""One call of the test kit's phone or provider: what a script does with it and what it waits for.

Every wait has a limit in seconds of the loop's clock. Audio is a tone that the call sends and what its detector hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trunkline.media.engine import Leg
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, supported
from trunkline.sip.dialog import Dialog
from trunkline.sip.early_update import EarlyUpdate
from trunkline.sip.endpoint import (
    Codec,
    Direction,
    Flow,
    Headers,
    Message,
    NameAddr,
    NegotiationError,
    RemoteOffer,
    RequestReceived,
    SipParseError,
    Uri,
)
from trunkline.sip.invite import InviteClient, InviteServer, with_body
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.request import Failure
from trunkline.sip.session_timer import SessionTimer
from trunkline.testing.referring import ScriptedRefer
from trunkline.testing.scripted import T38, CallRefused, EarlyScript, Ended, ScriptedSession, fail, send_in, within
from trunkline.testing.secured import Secured
from trunkline.testing.sounding import Sounding

if TYPE_CHECKING:
    from trunkline.testing.agent import Agent

__all__ = ["CallRefused", "Ended", "ScriptedCall"]


class ScriptedCall(Secured, Sounding):
    """A call, steered by a test. Made by `Agent.place`, or by an INVITE that arrives."""

    def __init__(self, agent: Agent) -> None:
        loop = asyncio.get_running_loop()
        self.agent = agent
        self.leg: Leg = agent.media.open_leg(agent.address)
        self._describer = agent.describer()
        self._client: InviteClient | None = None
        self._credentials: ClientCredentials | None = None
        self._server: InviteServer | None = None
        self.session: ScriptedSession | None = None
        self._offer: RemoteOffer | None = None
        self._flow: Flow | None = None
        self.invite: Message | None = None
        """The INVITE that arrived; None for a call that was placed."""
        self.provisionals: list[Message] = []
        self.requests: list[Message] = []
        """Re-INVITEs and UPDATEs with an offer that arrived in the dialog."""
        self.remote_holds: list[Direction] = []
        """The direction of each re-INVITE of theirs, as they wrote it."""
        self.auto_reanswer = True
        self.withholds_answers = False
        """The ACK to a 2xx that brings an offer goes out without the answer."""
        self.timer = SessionTimer(agent.timers)
        self.pracks: list[Message] = []
        """PRACKs that arrived."""
        self._early: Dialog | None = None
        self._sure = False
        self.wanted: Direction = "sendrecv"
        """What this side wants, whatever the other asks for: a hold of its own outlasts their hold and resume."""
        self._asked: Direction = "sendrecv"
        self._ringing: asyncio.Future[Message] = loop.create_future()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[Ended] = loop.create_future()
        self._reoffered: asyncio.Future[None] | None = None

    # --- making -------------------------------------------------------------------------------------------------------

    @classmethod
    def place(
        cls,
        agent: Agent,
        target: Uri,
        flow: Flow,
        *,
        local: NameAddr,
        remote: NameAddr,
        credentials: ClientCredentials | None,
        headers: Headers,
        offerless: bool = False,
    ) -> ScriptedCall:
        """Send an INVITE; without description where it is `offerless`."""
        call = cls(agent)
        call._credentials = credentials
        body = b"" if offerless else call._offer_all()
        call._client = InviteClient(
            agent.endpoint,
            call,
            target=target,
            flow=flow,
            local=local,
            remote=remote,
            contact=agent.contact,
            body=body,
            headers=headers,
            credentials=credentials,
            timer=call.timer,
            answer=call._answer_offer if offerless else None,
            reliable=agent.reliable,
            on_offer=lambda tag, update: call.on_reinvite(update),
        )
        call._client.start()
        return call

    @classmethod
    def receive(cls, agent: Agent, request: RequestReceived) -> ScriptedCall:
        """Take an INVITE that arrived."""
        call = cls(agent)
        call.invite = request.message
        call._flow = request.flow
        call._server = InviteServer(agent.endpoint, request, call)
        return call

    # --- being called -------------------------------------------------------------------------------------------------

    @property
    def caller_id(self) -> str:
        """The user part of the From of the INVITE that arrived."""
        return (self.invite.from_.uri.user or "") if self.invite is not None else ""

    @property
    def dialled(self) -> str:
        """The user part of the Request-URI of the INVITE that arrived."""
        return (self.invite.uri.user or "") if self.invite is not None else ""

    def ring(self, status: int = 180, *, early_media: bool = False, reliable: bool = False) -> None:
        """Send a provisional, with an early answer if asked, `reliable` where the caller offers that (RFC 3262)."""
        server = self._take_server()
        body = self._answer() if early_media else b""
        self._sure = self._sure or (reliable and early_media)
        fields = [("Contact", self.agent.contact), ("Allow", ALLOW)]
        server.provisional(status, None, fields, body, reliable=reliable)
        if reliable and self._early is None:
            assert self.invite is not None
            assert self._flow is not None
            self._early = Dialog.as_callee(self.invite, self._flow, server.local_tag)
            EarlyScript(self.agent, self._early, self.on_reinvite)

    async def offer_early(
        self, direction: Direction, *, codecs: Sequence[Codec] | None = None, timeout_s: float = 5.0
    ) -> Message:
        """Offer something else by UPDATE before the answer, and give back what it is answered; callee with PRACK only."""
        dialog = self._early
        assert dialog is not None
        plan = self._describer.plan
        body = self._describer.offer(
            address=self.agent.address,
            port=self.leg.port,
            codecs=codecs or (plan.receive_codecs if plan is not None else self.agent.codecs),
            direction=direction,
        )
        fields = with_body([("Contact", self.agent.contact), ("Allow", ALLOW)], body)
        message = await within(send_in(self.agent, dialog, "UPDATE", fields, body, None), timeout_s)
        if message.status >= 300 or not self._apply_answer(message):
            self._describer.withdraw()
        return message

    def answer(self) -> bool:
        """Answer; False when the caller has given up."""
        server = self._take_server()
        assert self.invite is not None
        assert self._flow is not None
        body = b"" if self._sure else self._describer.local or self._answer()
        headers = [*supported(self.timer), *self.timer.answering(self.invite, self.agent.endpoint.now_s)]
        if not server.accept(self.agent.contact, body, headers):
            return False
        self._begin(self._early or Dialog.as_callee(self.invite, self._flow, server.local_tag), self.invite)
        return True

    def reject(self, status: int = 486, reason: str | None = None, headers: Headers = ()) -> None:
        """Refuse the call."""
        self._take_server().reject(status, reason, headers)
        self._end(Ended(True, "refused", status))

    # --- during the call ----------------------------------------------------------------------------------------------

    def hangup(self, headers: Headers = ()) -> None:
        """End the call, whatever its state: BYE, CANCEL or a refusal. Nothing when it has ended."""
        if self._ended.done():
            return
        if self.session is not None:
            self.session.bye(headers)
            self._end(Ended(True, "bye"))
        elif self._client is not None:
            self._client.give_up(headers)
            self._end(Ended(True, "cancel"))
        else:
            self.reject(480)

    async def hold(self, direction: Direction = "sendonly", timeout_s: float = 5.0) -> None:
        """Put them on hold by re-INVITE; CallRefused when they do not agree.

        While they hold us, the offer says inactive (RFC 3264 §8.4), and they are still held when they take us off hold.
        """
        plan = self._describer.plan
        held = plan is not None and plan.direction == "recvonly"
        await self._reoffer("inactive" if held else direction, direction, timeout_s)

    async def resume(self, timeout_s: float = 5.0) -> None:
        """Take them off hold; nothing is heard while they hold us."""
        await self.reoffer("sendrecv", timeout_s=timeout_s)

    async def reoffer(self, direction: Direction, *, update: bool = False, timeout_s: float = 5.0) -> None:
        """Offer the session anew in this direction, which is wanted from now on, and wait for the answer.

        Args:
            direction: Of the offer.
            update: By UPDATE instead of a re-INVITE.
            timeout_s: How long to wait.
        """
        await self._reoffer(direction, direction, timeout_s, update=update)

    async def offer_fax(self, *, timeout_s: float = 5.0) -> None:
        """Offer T.38 in the place of audio by re-INVITE; CallRefused when they do not agree."""
        session = self._take_session()
        body = self._describer.offer_fax(
            address=self.agent.address, port=self.leg.port, attributes=self.agent.fax or T38
        )
        self._reoffered = asyncio.get_running_loop().create_future()
        session.reinvite(body, self)
        await within(self._reoffered, timeout_s)

    async def ask_for_offer(self, *, timeout_s: float = 5.0) -> None:
        """Send a re-INVITE without description: they offer, and the ACK answers."""
        session = self._take_session()
        self._reoffered = asyncio.get_running_loop().create_future()
        session.reinvite(b"", self, answer=self._answer_offer)
        await within(self._reoffered, timeout_s)

    async def refresh(self, *, timeout_s: float = 5.0) -> None:
        """Send an UPDATE without description: the session stays as it is."""
        session = self._take_session()
        self._reoffered = asyncio.get_running_loop().create_future()
        session.update(b"", self)
        await within(self._reoffered, timeout_s)

    async def request(
        self, method: str, *, headers: Headers = (), body: bytes = b"", timeout_s: float = 5.0
    ) -> Message:
        """Send any request in the dialog, as INFO or OPTIONS, and give back its final response."""
        dialog = self._take_session().dialog
        answer = send_in(self.agent, dialog, method, headers, body, self._credentials)
        return await within(answer, timeout_s)

    def refer(self, to: str, *, replaces: ScriptedCall | None = None, headers: Headers = ()) -> ScriptedRefer:
        """Transfer them to a URI by REFER, blind, or attended: to the party of another call of ours."""
        other = replaces.session if replaces is not None else None
        return ScriptedRefer.send(self._take_session(), to, other, headers)

    async def _reoffer(
        self, direction: Direction, wanted: Direction, timeout_s: float, *, update: bool = False
    ) -> None:
        session = self._take_session()
        body = self._describer.offer(
            address=self.agent.address, port=self.leg.port, codecs=self.agent.codecs, direction=direction
        )
        self._reoffered = asyncio.get_running_loop().create_future()
        self._asked = wanted
        (session.update if update else session.reinvite)(body, self)
        async with asyncio.timeout(timeout_s):
            await self._reoffered

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def wait_ringing(self, timeout_s: float = 5.0) -> Message:
        """The first provisional above 100. CallRefused when the call fails before."""
        return await within(self._ringing, timeout_s)

    async def wait_answered(self, timeout_s: float = 5.0) -> None:
        """Until the call is up. CallRefused when it fails."""
        await within(self._answered, timeout_s)

    async def wait_ended(self, timeout_s: float = 5.0) -> Ended:
        """How it ended."""
        return await within(self._ended, timeout_s)

    @property
    def ended(self) -> Ended | None:
        """How it ended; None while it has not."""
        return self._ended.result() if self._ended.done() else None

    # --- from the stack -----------------------------------------------------------------------------------------------

    def on_provisional(self, client: InviteClient, message: Message) -> None:
        """From the INVITE that was placed."""
        self.provisionals.append(message)
        if message.body and self._describer.offer_pending:
            self._apply_answer(message)
        if not self._ringing.done():
            self._ringing.set_result(message)

    def on_answered(self, client: InviteClient, dialog: Dialog, message: Message) -> None:
        """From the INVITE that was placed."""
        usable = not self._describer.offer_pending or self._apply_answer(message)
        self._begin(dialog, message)
        if not usable:
            self.hangup()

    def on_refused(self, client: InviteClient, failure: Failure) -> None:
        """From the INVITE that was placed."""
        error = CallRefused(failure.status, failure.reason, failure.message)
        for future in (self._ringing, self._answered):
            fail(future, error)
        self._end(Ended(False, "refused", failure.status, failure.message))

    def on_cancelled(self, message: Message) -> None:
        """From the INVITE that arrived."""
        self._end(Ended(False, "cancel", 487, message))

    def on_confirmed(self, message: Message) -> None:
        """From the INVITE that arrived: ACK; with the answer where the 200 brought our offer."""
        offered = self._describer.offer_pending and self.invite is not None and not self.invite.body
        if offered and not self._apply_answer(message):
            self.hangup()
            return
        if not self._answered.done():
            self._answered.set_result(None)

    def on_unconfirmed(self) -> None:
        """From the INVITE that arrived: no ACK."""
        self.hangup()

    def on_prack(self, message: Message) -> tuple[int, bytes]:
        """From the INVITE that arrived: PRACK; with the answer where a provisional brought our offer."""
        self.pracks.append(message)
        if self._early is not None:
            self._early.accepts(message)
        if self._describer.offer_pending and message.body:
            self._apply_answer(message)
        return 200, b""

    def on_unacknowledged(self) -> None:
        """From the INVITE that arrived: no PRACK."""
        self._end(Ended(True, "refused", 504))

    def on_bye(self, message: Message) -> None:
        """From the dialog."""
        self._end(Ended(False, "bye", 0, message))

    def on_lost(self, reason: str) -> None:
        """From the dialog."""
        self._end(Ended(False, "lost"))

    def on_reinvite(self, offer: Reoffer | EarlyUpdate) -> None:
        """From the dialog, the early one too: answered in the direction that they allow and we want."""
        self.requests.append(offer.message)
        if not self.auto_reanswer:
            return
        if isinstance(offer, Reoffer) and not offer.message.body:
            offer.offer(self._offer_all(), lambda answer: self._take_answer(answer))
            return
        try:
            fax = self.agent.fax
            remote = self._describer.read_offer(offer.message.sdp, fax=fax is not None)
            where: dict[str, Any] = {"address": self.agent.address, "port": self.leg.port}
            if remote.fax is not None and fax is not None:
                body, plan = self._describer.answer_fax(remote, **where, attributes=fax)
            else:
                self.remote_holds.append(remote.direction)
                body, plan = self._describer.answer(remote, **where, codecs=self.agent.codecs, direction=self.wanted)
        except (SipParseError, NegotiationError):
            offer.reject(488)
            return
        self.leg.apply(plan, learn_from=None)
        offer.accept(body)

    def on_reoffer_accepted(self, message: Message) -> None:
        """From the dialog."""
        if self._describer.offer_pending:
            self.wanted = self._asked
            self._apply_answer(message)
        if self._reoffered is not None and not self._reoffered.done():
            self._reoffered.set_result(None)

    def on_reoffer_refused(self, failure: Failure) -> None:
        """From the dialog."""
        self._describer.withdraw()
        if self._reoffered is not None and not self._reoffered.done():
            self._reoffered.set_exception(CallRefused(failure.status, failure.reason, failure.message))

    def on_refresh_due(self) -> None:
        """From the dialog: the same offer once more."""
        body = self._describer.offer_again()
        if body is not None and self.session is not None:
            self.session.reinvite(body, self)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _offer_all(self) -> bytes:
        return self._describer.offer(
            address=self.agent.address, port=self.leg.port, codecs=self.agent.codecs, direction=self.wanted
        )

    def _answer_offer(self, message: Message) -> bytes:
        """The body of the ACK to a 2xx that brings an offer."""
        if self.withholds_answers:
            return b""
        remote = self._describer.read_offer(message.body)
        self.remote_holds.append(remote.direction)
        body, plan = self._describer.answer(
            remote,
            address=self.agent.address,
            port=self.leg.port,
            codecs=self.agent.codecs,
            direction=self.wanted,
        )
        self.leg.apply(plan, learn_from=None)
        self.leg.listen()
        return body

    def _answer(self) -> bytes:
        assert self.invite is not None
        if not self.invite.body:
            return self._offer_all()
        offer = self._describer.read_offer(self.invite.body)
        body, plan = self._describer.answer(
            offer, address=self.agent.address, port=self.leg.port, codecs=self.agent.codecs
        )
        self.leg.apply(plan, learn_from=None)
        self.leg.listen()
        return body

    def _apply_answer(self, message: Message) -> bool:
        return self._take_answer(message.body)

    def _take_answer(self, body: bytes) -> bool:
        try:
            plan = self._describer.accept_answer(body)
        except (SipParseError, NegotiationError):
            return False
        self.leg.apply(plan, learn_from=None)
        self.leg.listen()
        return True

    def _begin(self, dialog: Dialog, theirs: Message) -> None:
        self.session = ScriptedSession(
            self.agent.endpoint,
            dialog,
            self,
            contact=self.agent.contact,
            leg=self.leg.number,
            credentials=self._credentials,
            timer=self.timer,
            theirs=theirs,
        )
        self.session.agent = self.agent
        if self._client is not None and not self._answered.done():
            self._answered.set_result(None)

    def _end(self, ended: Ended) -> None:
        if self._ended.done():
            return
        self._ended.set_result(ended)
        for future in (self._ringing, self._answered, self._reoffered):
            if future is not None:
                fail(future, CallRefused(ended.status, f"the call has ended ({ended.how})", ended.message))
        self.leg.close()
        self.agent.forget(self)

    def _take_server(self) -> InviteServer:
        if self._server is None:
            raise RuntimeError("this call was placed by us")
        return self._server

    def _take_session(self) -> ScriptedSession:
        if self.session is None or self.session.ended:
            raise RuntimeError("the call is not up")
        return self.session
