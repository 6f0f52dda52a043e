"""A channel: one leg of a session from its first INVITE to its last BYE, with description, media leg and dialog.

While it is placed it owns an `Outgoing`, while it waits for our answer an `Incoming`, then an `InviteSession`. What
happens on it goes to the session's `Course`, and over its `Link` to the other side; what the link asks is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from trunkline.calls import answering, informing
from trunkline.calls.align import Alignment
from trunkline.calls.attempt import Attempt, Won
from trunkline.calls.audible import Audible
from trunkline.calls.channel_owner import ChannelOwner
from trunkline.calls.codecs import common, offerable, theirs
from trunkline.calls.destinations import Wanted
from trunkline.calls.digits import Digits
from trunkline.calls.early_offer import take_early_offer, take_from_caller
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.hold import Crossing, follow, refresh, take_reoffer
from trunkline.calls.incoming import Incoming
from trunkline.calls.link import Happening, Link, LinkOwner, News, Stage
from trunkline.calls.music import HoldMusic
from trunkline.calls.outgoing import NotPlaced, Offering, Outgoing
from trunkline.calls.peers import Party, Target
from trunkline.calls.whereabouts import Whereabouts
from trunkline.constants import ChannelId, PeerType
from trunkline.errors import CallStateError
from trunkline.events import FailedAttempt
from trunkline.media.engine import Leg
from trunkline.sip.description import Description
from trunkline.sip.dialog import Dialog
from trunkline.sip.early_update import EarlyUpdate
from trunkline.sip.endpoint import Codec, Flow, Headers, MediaPlan, Message, RemoteOffer, RequestReceived
from trunkline.sip.invite_session import InviteSession
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.session_timer import SessionTimer

__all__ = ["Channel"]

PASSED_PROVISIONALS = frozenset({180, 181, 182, 183})
"""What a waiting caller is told; 199 and private ones concern us alone."""


class Channel(Audible):
    """One leg of a session.

    Args:
        env: The surroundings.
        owner: The course of its session.
        number: ZERO or ONE.
        log: Of the call.
    """

    def __init__(self, env: Environment, owner: ChannelOwner, number: ChannelId, log: CallLog) -> None:
        self.env = env
        self.id = number
        self.log = log
        self.stage = Stage.PLACING
        self.party: Party | None = None
        self.leg: Leg | None = None
        self.address = ""
        self.describer: Description | None = None
        self.link: Link[Channel] | None = None
        self.invite: InviteSession | None = None
        self.message: Message | None = None
        self.incoming: Incoming | None = None
        """The INVITE that waits for our answer."""
        self.owner = owner
        self.digits = Digits(self)
        self._flow: Flow | None = None
        self._offer: RemoteOffer | None = None
        self._answered: InviteSession | None = None
        self.outgoing: Outgoing | None = None
        self.early: Attempt | None = None  # who is heard before the answer
        self._alignment: Alignment | None = None
        self._crossing: Crossing | None = None
        self._watched = False
        self._whereabouts = Whereabouts()
        self.music = HoldMusic()
        self.awaits_answer = False
        """Our offer went out, and the ACK of the 200 is to bring the answer."""
        self.behind = False  # the other side has agreed to something else early: this one is told when both are up

    def __repr__(self) -> str:
        return f"<Channel {self.id.name} {self.stage.name.lower()}>"

    # --- arriving and placing ---------------------------------------------------------------------------------------

    def arrive(self, request: RequestReceived, party: Party, token: str, timer: SessionTimer) -> None:
        """Take an INVITE; one without description is offered something when it is answered.

        Raises:
            DialogError: It can make no dialog.
            SipParseError: Its description is malformed.
            NegotiationError: Nothing that it offers can be used.
        """
        describer = self.env.describer(party, request.flow)
        if request.message.sdp:
            self._offer = describer.read_offer(request.message.sdp)
        self.party = party
        self.message = request.message
        self._flow = request.flow
        self.describer = describer
        contact = self.env.addresses.contact(request.flow, party, token)
        self.incoming = Incoming(
            self.env.endpoint,
            request,
            self,
            contact=contact,
            timer=timer,
            reliable=party.reliable,
        )
        self.incoming.dialog.over_tcp = party.large_over_tcp
        self.stage = Stage.RINGING

    def place(self, wanted: Wanted, offering: Offering, timeout_s: float) -> None:
        """Start calling."""
        self.outgoing = Outgoing(self.env, self, wanted, offering, timeout_s=timeout_s, log=self.log)
        self.outgoing.start()

    def open_leg(self) -> Leg:
        """The media leg, opened when first needed.

        Raises:
            NoMediaPorts: There is no port.
        """
        if self.leg is not None:
            return self.leg
        if self._flow is None:
            raise CallStateError("the channel has no peer yet")
        leg, address = self.env.open_leg(self._flow)
        self._take_leg(leg, address)
        return leg

    def holds(self, line: str) -> list[object | None]:
        """Its calls over a line: None where it is one, and while it is placed what the limits know each by."""
        if self.outgoing is not None:
            return [hold for name, hold in self.outgoing.holding if name == line]
        party = self.party
        return [None] if party is not None and (party.peer_type, party.name) == (PeerType.LINE, line) else []

    @property
    def called(self) -> list[Party]:
        """Who is being called now; nobody before that and from the answer on."""
        return self.outgoing.called if self.outgoing is not None else []

    def headers(self, name: str) -> list[str]:
        """All header fields of that name in the INVITE of who called, or the 2xx of who was called."""
        return self.message.lines(name) if self.message is not None else []

    @property
    def offer(self) -> RemoteOffer | None:
        """What the caller offered, before it was answered."""
        return self._offer

    @property
    def plan(self) -> MediaPlan | None:
        """What is agreed; None before the answer."""
        return self.describer.plan if self.describer is not None else None

    @property
    def usable(self) -> Sequence[Codec]:
        """All that this side may ever use: what it offered, within what its party may."""
        if self.party is None:
            return ()
        return self.party.codecs if self._offer is None else common(self._offer.codecs, self.party.codecs)

    def codecs_for(self, party: Party) -> list[Codec]:
        """What another party may be offered so that it can talk to this side: what stands first, else what could."""
        stands = self.plan.receive_codecs if self.plan is not None else ()
        return offerable(stands, self.usable, party.codecs)

    # --- what the link asks -----------------------------------------------------------------------------------------

    def ring(self, news: News) -> None:
        """Tell the caller that the other side rings."""
        if self.incoming is not None and news.status in PASSED_PROVISIONALS:
            self.incoming.provisional(news.status)

    def provisional(self, status: int, reason: str | None, headers: Headers = ()) -> None:
        """A provisional of the application's own."""
        if self.incoming is not None:
            self.incoming.provisional(status, reason, headers=headers)

    def preview(self, source: Channel, news: News) -> None:
        """Give the caller the other side's early media."""
        answering.preview(self, source, news)

    def answer(self, source: Channel, news: News) -> None:
        """Answer the caller with what the other side agreed, and relay."""
        answering.answer(self, source, news)

    def answer_alone(self, headers: Headers = ()) -> bool:
        """Answer the caller with nobody behind: silence is sent. False when he has given up.

        Raises:
            NegotiationError: There is no common codec.
            NoMediaPorts: There is no port.
        """
        return answering.answer_alone(self, headers)

    def send_answer(self, body: bytes, headers: Headers = ()) -> bool:
        """Send the 200; False when the caller has given up: that is on its way to us."""
        incoming = self.incoming
        if incoming is None or not incoming.answer(body, headers):
            return False
        self.incoming = None
        # nothing else is offered before the ACK brings the answer; an offer by UPDATE of ours has its own
        self.awaits_answer = self.describer is not None and self.describer.offer_pending and self.plan is None
        self._answered = self._rise(
            incoming.dialog, incoming.contact, timer=incoming.timer, theirs=incoming.message, confirmed=False
        )
        return True

    def align(self, source: Channel, owner: LinkOwner | None = None, *, fresh: bool = False) -> None:
        """Bring both sides to the same codecs, then relay; not before both have answered. `fresh`: see `Alignment`."""
        if self.link is not None and self.plan is not None and source.plan is not None:
            self._alignment = Alignment(self, source, owner or self.link.owner, fresh=fresh)
            self._alignment.start()

    def join(self, source: Channel) -> None:
        """Relay between the two legs."""
        if self.leg is not None and source.leg is not None:
            self.leg.stop_tone()
            source.leg.stop_tone()
            self.leg.link(source.leg)

    def hush(self) -> None:
        """Relay no longer, and send silence."""
        if self.leg is not None:
            self.leg.unlink()
            self.silence()

    def give_up(self, headers: Headers) -> None:
        """CANCEL what is being placed."""
        if self.outgoing is not None:
            self.outgoing.give_up(headers)
        self.finish()

    def refuse(self, news: News) -> None:
        """Answer the caller with a failure."""
        if self.incoming is not None:
            self.incoming.reject(news.status, news.reason, news.headers)
        self.finish()

    def hang_up(self, headers: Headers) -> None:
        """BYE."""
        if self.invite is not None:
            self.invite.bye(headers)
        self.finish()

    def release(self, happening: Happening) -> None:
        """The other side of the bridge is gone; this side hears silence."""
        self.unlink()
        self.owner.on_released(self, happening)

    def relay_offer(self, source: Channel, news: News) -> None:
        """Offer what the other side offers, and give the answer back to it."""
        if news.reoffer is not None and news.offer is not None:
            source._crossing = Crossing(source, self, news.reoffer, news.offer)
            source._crossing.start()

    def follow(self, source: Channel) -> None:
        """Offer this side what the other one has agreed to."""
        follow(self, source)

    # --- the session ------------------------------------------------------------------------------------------------

    def apply(self, plan: MediaPlan | None = None) -> None:
        """Make the leg do what is agreed.

        Silence counts while the session is connected and their description says that they send and hear. A side that
        holds may send music (sendonly), and many phones send nothing then, as with c=0.0.0.0, the old way to hold (RFC
        3264 §8.4): a call on hold is never lost for being silent.
        """
        plan = plan or self.plan
        if plan is None or self.party is None or self.leg is None or not self.leg.is_open:
            return
        talking = self._watched and theirs(plan) == "sendrecv" and plan.remote_rtp is not None
        self.leg.apply(
            plan,
            learn_from=self._learn_from(plan),
            silence_timeout_s=self.party.media_timeout_s if talking else 0.0,
        )
        HoldMusic.attend(self)
        self.digits.arrange()

    def watch(self, connected: bool) -> None:
        """The session is connected, or not any more: silence counts, or rests."""
        if self._watched != connected:
            self._watched = connected
            if self.party is not None and self.party.media_timeout_s:
                self.apply()
        self.digits.arrange()

    def silence(self) -> None:
        """Send silence, so that NAT bindings stay open and the other side hears that we are there."""
        if self.leg is not None:
            self.leg.play_tone(0.0)

    def unlink(self) -> None:
        """Stop relaying; the leg stays and sends silence."""
        linked, self.link = self.link is not None, None
        self.music.stop()
        self.watch(False)
        if self._alignment is not None:
            self._alignment.stop()
            self._alignment = None
        if self._crossing is not None:
            self._crossing.stop()
            self._crossing = None
        if linked and self.leg is not None:
            self.leg.unlink()
            if self.stage in (Stage.EARLY, Stage.UP):
                self.silence()

    def finish(self) -> None:
        """It is over: everything is let go. Idempotent."""
        self.stage = Stage.OVER
        self._watched = False
        if self.leg is not None and self.leg.handler is not None:
            # first, so that nothing is said to a leg that goes
            self.leg.handler = None
            self.leg.close()
        self.unlink()
        self.incoming = self.outgoing = self.invite = None
        # the session may be kept for long, by an event in the record
        self._offer = self.describer = self.early = None

    # --- from the INVITE that arrived -------------------------------------------------------------------------------

    def on_caller_gave_up(self, message: Message) -> None:
        """From `Incoming`."""
        if self.stage is not Stage.OVER:
            self.stage = Stage.OVER
            self.owner.on_caller_gave_up(self, message)

    def on_answer_confirmed(self, ack: Message) -> None:
        """From `Incoming`."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answering.acked(self, answered, ack)

    def on_answer_unconfirmed(self) -> None:
        """From `Incoming`: RFC 3261 §13.3.1.4, the dialog is ended with BYE."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered.confirm()
            answered.lose("the 200 was never acknowledged")

    def on_acknowledged(self, prack: Message) -> tuple[int, bytes]:
        """From `Incoming`."""
        return answering.acknowledged(self, prack)

    def on_early_offer(self, update: EarlyUpdate) -> None:
        """From `Incoming`."""
        take_from_caller(self, update)

    def on_unacknowledged(self) -> None:
        """From `Incoming`: no PRACK came, and 504 has gone out."""
        if self._answered is not None:
            self.on_answer_unconfirmed()
        elif self.stage is not Stage.OVER:
            self.owner.on_lost(self, "a reliable provisional response was never acknowledged")

    # --- from the placing -------------------------------------------------------------------------------------------

    def on_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None, *, alone: bool) -> None:
        """From `Outgoing`."""
        if alone and plan is not None:
            attempt.on_plan, attempt.on_offer, self.early = self.apply, partial(take_early_offer, self), attempt
            self.party = attempt.target.party
            self._take_leg(attempt.leg, attempt.address)
            self._flow = attempt.target.flow
            self.apply(plan)
        self.owner.on_connecting(self, message)
        if self.link is None or self.stage is not Stage.PLACING:
            return
        if alone and plan is not None:
            self.link.tell(self, Happening.PROGRESSED, News(status=message.status, plan=plan))
        elif alone or message.status == 180:
            self.link.tell(self, Happening.RANG, News(status=message.status))

    def on_attempt(self, target: Target) -> None:
        """From `Outgoing`."""
        self.owner.ledger.tried(self.id, target, self.env.endpoint.now_s)

    def on_attempt_failed(self, attempt: FailedAttempt) -> None:
        """From `Outgoing`."""
        self.owner.on_attempt_failed(self, attempt)

    def on_next_step(self, early: Leg) -> None:
        """From `Outgoing`: it closes the leg."""
        if self.leg is early:
            if self.link is not None:
                self.link.tell(self, Happening.TURNED)
            self.leg.handler = None
            self.leg = self.party = self._flow = self.early = None

    def on_placed(self, won: Won) -> None:
        """From `Outgoing`."""
        self.outgoing = self.early = None
        target = won.attempt.target
        self.owner.ledger.attempt_won(target, self.env.endpoint.now_s)
        self.party, self.message = target.party, won.message
        self._flow, self.describer = target.flow, won.describer
        self._take_leg(won.attempt.leg, won.attempt.address)
        self._rise(won.dialog, won.attempt.contact, timer=won.attempt.timer, theirs=won.message, confirmed=True)
        self.owner.on_placed(self)

    def on_not_placed(self, why: NotPlaced) -> None:
        """From `Outgoing`."""
        self.outgoing = None
        self.owner.on_not_placed(self, why)

    def on_placing_timeout(self, attempts: tuple[FailedAttempt, ...]) -> None:
        """From `Outgoing`."""
        self.outgoing = None
        self.owner.on_placing_timeout(self, attempts)

    # --- from the dialog and the leg --------------------------------------------------------------------------------

    def on_bye(self, message: Message) -> None:
        """From the INVITE session."""
        if self.stage is Stage.UP:
            self.stage = Stage.OVER
            self.owner.on_hangup(self, message)

    def on_reinvite(self, offer: Reoffer) -> None:
        """From the INVITE session."""
        take_reoffer(self, offer)

    def on_refresh_due(self) -> None:
        """From the INVITE session."""
        refresh(self)

    def on_lost(self, reason: str) -> None:
        """From the INVITE session."""
        if self.stage is Stage.UP:
            self.owner.on_lost(self, reason)

    def on_leg_silent(self) -> None:
        """From the leg."""
        self.on_lost("no audio arrives")

    def on_leg_failed(self, reason: str) -> None:
        """From the leg."""
        self.on_lost(f"media failed: {reason}")

    # --- inside -----------------------------------------------------------------------------------------------------

    def _take_leg(self, leg: Leg, address: str) -> None:
        self.leg = leg
        self.address = address
        leg.handler = self
        leg.on_digit = self.digits.on_leg_digit

    def _rise(
        self, dialog: Dialog, contact: str, *, timer: SessionTimer, theirs: Message, confirmed: bool
    ) -> InviteSession:
        """It is answered: from now on it lives in its dialog."""
        self.stage = Stage.UP
        party, journal = self.party, self.env.journal
        self.invite = InviteSession(
            self.env.endpoint,
            dialog,
            self,
            contact=contact,
            leg=self.leg.number if self.leg is not None else 0,
            credentials=party.credentials if party is not None else None,
            confirmed=confirmed,
            timer=timer,
            theirs=theirs,
            keeper=journal.of(party) if journal is not None and party is not None else None,
        )
        self.invite.on_info = partial(informing.take_info, self)
        self.invite.refers.on_refer = lambda request, refer: self.owner.on_refer(self, request, refer)
        if confirmed:
            # what we answered ourselves was applied with the answer
            self.apply()
        return self.invite

    def _learn_from(self, plan: MediaPlan) -> str | None:
        holder = self.invite or self.incoming
        dialog = holder.dialog if holder is not None else None
        return self._whereabouts.learned_from(plan, dialog, self._flow, self.party)
