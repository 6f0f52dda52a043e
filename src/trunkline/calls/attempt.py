"""One attempt: one INVITE to one target, with its own Call-ID, its own description and its early dialogs.

`Outgoing` makes one per target and hears how it goes on. A forked INVITE answers with several To tags: each is an
early dialog with an offer/answer state of its own (RFC 3261 §13.2.2.4, RFC 3264 §4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from trunkline.calls.codecs import fallback
from trunkline.calls.early_offer import EarlySide, answer_here, refuse_or_answer
from trunkline.calls.environment import Environment
from trunkline.calls.failure import reason, warning
from trunkline.calls.peers import Target
from trunkline.calls.redirect import Redirections
from trunkline.media.engine import Leg
from trunkline.sip.description import Description
from trunkline.sip.dialog import Dialog, next_hop
from trunkline.sip.early_update import EarlyUpdate
from trunkline.sip.endpoint import (
    Codec,
    Direction,
    Flow,
    Headers,
    MediaPlan,
    Message,
    NegotiationError,
    SipParseError,
    Uri,
    read_capabilities,
)
from trunkline.sip.invite import InviteClient, end_unwanted
from trunkline.sip.request import Failure

__all__ = ["Attempt", "AttemptOwner", "Won"]

log = logging.getLogger("trunkline.calls")

MAX_EARLY_DIALOGS = 16
"""Early dialogs of one INVITE that are told apart; what further ones say of media is not heard."""


class AnswerMissing(Exception):
    """A 2xx without description, to an INVITE that offered one (RFC 3261 §13.2.1)."""

    reason = "the 200 has no session description"


class Won(NamedTuple):
    """The attempt that was answered, and what its channel goes on with."""

    attempt: Attempt
    dialog: Dialog
    describer: Description
    plan: MediaPlan
    message: Message
    """The 2xx."""


class AttemptOwner(Protocol):
    """The set of attempts."""

    def on_attempt_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None) -> None:
        """A provisional that says something new; with the plan of an early answer where it has one."""

    def on_attempt_won(self, won: Won) -> None:
        """A 2xx with an answer that can be agreed; it is acknowledged."""

    def on_attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        """Its final failure."""


class Attempt:
    """One INVITE to one target.

    Args:
        env: The surroundings.
        owner: Hears of it.
        target: Where it goes.
        leg: Whose port is offered.
        address: The address to write into SDP.
        codecs: What is offered.
        direction: In which direction.
        ptime_ms: The packet time asked for, if any.
        headers: Headers besides the target's.
    """

    def __init__(
        self,
        env: Environment,
        owner: AttemptOwner,
        target: Target,
        *,
        leg: Leg,
        address: str,
        codecs: Sequence[Codec],
        direction: Direction,
        ptime_ms: int | None,
        headers: Headers,
    ) -> None:
        self._env = env
        self._owner: AttemptOwner | None = owner
        self.target = target
        self.leg = leg
        self.address = address
        self._direction: Direction = direction
        self._ptime_ms = ptime_ms
        self._headers = headers
        self.rang = False
        """The callee's phone has been ringing."""
        self.answered = False
        """There was a 2xx, whatever came of it."""
        self._early: dict[str, Description] = {}
        self._sure: frozenset[str] = frozenset()
        self.on_plan: Callable[[MediaPlan], None] = lambda plan: None
        """Told of a plan that an UPDATE in an early dialog changed."""
        self.on_offer: Callable[[EarlySide, EarlyUpdate], None] | None = None
        """Takes an offer by UPDATE in its early dialog; None while several are called."""
        self._said: frozenset[tuple[str, int, bool]] = frozenset()
        party = target.party
        self._redirections = Redirections(target.uri, party.follow_redirects)
        self._fallback: Sequence[Codec] | None = None
        self._codecs = codecs
        self.contact = env.addresses.contact(target.flow, party, party.accept_token or env.endpoint.driver.mint_token())
        self._prepare(target.uri, target.flow)

    def _prepare(self, uri: Uri, flow: Flow) -> None:
        """Make the INVITE to the target, or to where it was sent on."""
        env, target = self._env, self.target
        party = target.party
        self.timer = env.session_timer(party)
        self._early.clear()
        self._sure = frozenset()
        self._offered = env.describer(party, flow)
        body = self._offered.offer(
            address=self.address,
            port=self.leg.port,
            codecs=self._codecs,
            direction=self._direction,
            ptime_ms=self._ptime_ms,
        )
        abroad = flow.remote[0] != target.flow.remote[0]
        # another host is neither asked to believe us nor shown what our password makes of its challenge
        identity = [field for field in target.headers if not (abroad and field[0].lower() == "p-asserted-identity")]
        self._client = InviteClient(
            env.endpoint,
            self,
            target=uri,
            flow=flow,
            local=target.local,
            remote=target.remote,
            contact=self.contact,
            body=body,
            headers=[*self._headers, *identity],
            credentials=None if abroad else party.credentials,
            nat=party.nat,
            timer=self.timer,
            reliable=party.reliable,
            on_offer=self._on_early_offer,
            discreet=party.anonymous,
        )

    @property
    def heard(self) -> bool:
        """Whether the other side has sent anything, be it a 100."""
        return self._client.heard

    def has_early(self, key: tuple[str, str, str]) -> bool:
        """Whether a dialog by that key is an early one of it."""
        return self._client.has_early(key)

    @property
    def is_abroad(self) -> bool:
        """Whether a 3xx has led it to another host than the target's."""
        return self._client.flow.remote[0] != self.target.flow.remote[0]

    def start(self) -> None:
        """Send the INVITE."""
        self._client.start()

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL it; it is watched to its final response, and a 2xx that crosses is ended, but nobody hears of it."""
        if self._owner is not None:
            self._owner = None
            self._client.give_up(headers)

    # --- from the INVITE client -------------------------------------------------------------------------------------

    def on_provisional(self, client: InviteClient, message: Message) -> None:
        """From the client: ringing or progress, perhaps on a new early dialog."""
        if self._owner is None:
            return
        self.rang = self.rang or message.status == 180
        plan = self._preview(message)
        said = (message.to_tag, message.status, plan is not None)
        if said in self._said or len(self._said) >= MAX_EARLY_DIALOGS * 8:
            return  # repeated: every minute while the INVITE waits (RFC 3261 §13.3.1.1)
        self._said |= {said}
        self._owner.on_attempt_progress(self, message, plan)

    def on_answered(self, client: InviteClient, dialog: Dialog, message: Message) -> None:
        """From the client: the first 2xx."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self.answered = True
        try:
            describer, plan = self._agree(message)
        except (NegotiationError, SipParseError, AnswerMissing) as error:
            words = error.reason
            # RFC 3261 §13.2.2.4: acknowledged, and ended since its answer is of no use
            end_unwanted(
                self._env.endpoint,
                dialog,
                [reason(488, words), warning(words)],
                credentials=self.target.party.credentials,
            )
            owner.on_attempt_failed(self, Failure(488, words))
            return
        owner.on_attempt_won(Won(self, dialog, describer, plan, message))

    def on_refused(self, client: InviteClient, failure: Failure) -> None:
        """From the client: the final failure, unless there is another way to try."""
        if self._owner is not None and (self._falls_back(failure) or self._moves_on(failure)):
            return
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_attempt_failed(self, failure)

    # --- other ways -------------------------------------------------------------------------------------------------

    def _moves_on(self, failure: Failure) -> bool:
        """Follow a 3xx, or try the next Contact of one (RFC 3261 §8.1.3.4). Whether there is one to try."""
        if failure.status >= 600:
            return False
        if failure.message is not None:
            self._redirections.take(failure.message)
        uri = self._redirections.next()
        if uri is None:
            return False
        target = self.target
        routed = any(name.lower() == "route" for name, _ in target.headers)
        try:
            self._prepare(uri, target.flow if routed else next_hop(uri, target.flow))
        except NegotiationError as error:
            # SRTP is required, and the way there is in the clear
            log.info("%s is not tried: %s", uri, error.reason)
            return False
        self._client.start()
        return True

    def _falls_back(self, failure: Failure) -> bool:
        """Offer once more, to one that takes none of these codecs, what it may take (RFC 3261 §21.4.26)."""
        if failure.status not in (488, 606) or failure.message is None or self._fallback is not None:
            return False
        self._fallback = fallback(self._codecs, self._their_codecs(failure.message))
        if not self._fallback:
            return False
        self._codecs = self._fallback
        self._prepare(self._client.target, self._client.flow)
        self._client.start()
        return True

    def _their_codecs(self, message: Message) -> Sequence[Codec]:
        """What the description in a 488 says that they can (RFC 3264 §9, RFC 3261 §21.4.26); empty where there is none."""
        if not message.sdp:
            return ()
        try:
            return read_capabilities(message.sdp)
        except SipParseError:
            return ()

    # --- descriptions -----------------------------------------------------------------------------------------------

    def _preview(self, message: Message) -> MediaPlan | None:
        """The plan of the early answer that this provisional brings or repeats; None where none can be used."""
        if not message.sdp or not message.to_tag:
            return None
        early = self._early.get(message.to_tag)
        if early is not None:
            return early.plan  # RFC 3261 §13.2.1: the first answer of an early dialog stands
        if len(self._early) >= MAX_EARLY_DIALOGS:
            return None
        if message.rseq is not None:
            # RFC 3262 §5: an answer that arrives for sure is the answer
            self._sure |= {message.to_tag}
        early = self._offered.fork()
        try:
            plan = early.accept_answer(message.sdp)
        except (NegotiationError, SipParseError):
            return None
        self._early[message.to_tag] = early
        return plan

    @property
    def plan(self) -> MediaPlan | None:
        """What its last early answer agreed to; None before one."""
        return next((early.plan for early in reversed(self._early.values())), None)

    @property
    def side(self) -> EarlySide | None:
        """Its early dialog, where there is one alone whose answer arrived for sure."""
        return self._side(next(iter(self._early))) if len(self._early) == 1 else None

    def _side(self, tag: str) -> EarlySide | None:
        early, updates = self._early.get(tag), self._client.updates(tag)
        if tag not in self._sure or early is None or early.plan is None or updates is None or self._owner is None:
            return None
        usable = self.target.party.codecs
        return EarlySide(early, updates, self.leg, self.address, usable, lambda plan: self.on_plan(plan))

    def _on_early_offer(self, tag: str, update: EarlyUpdate) -> None:
        """They offer something else by UPDATE in an early dialog."""
        side = self._side(tag)
        if side is None:
            # RFC 3311 §5.2: our own offer has no answer that counts yet
            update.reject(491)
        elif self.side is not None and self.on_offer is not None:
            self.on_offer(side, update)
        else:
            refuse_or_answer(side, update, partial(answer_here, side, update))

    def _agree(self, message: Message) -> tuple[Description, MediaPlan]:
        """The answer of the 2xx, or the one of its early dialog where the 2xx repeats none."""
        early = self._early.get(message.to_tag)
        if not message.sdp or (early is not None and message.to_tag in self._sure):
            if early is None or early.plan is None:
                raise AnswerMissing
            return early, early.plan
        # Gateways give the caller's tones one description and the callee another: the last word counts.
        describer = self._offered.fork()
        return describer, describer.accept_answer(message.sdp)
