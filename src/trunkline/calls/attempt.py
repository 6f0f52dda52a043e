"""One attempt: one INVITE to one target, with its own Call-ID, its own description and its early dialogs.

`Outgoing` makes one per target and hears how it goes on. A forked INVITE answers with several To tags: each is an
early dialog with an offer/answer state of its own (RFC 3261 §13.2.2.4, RFC 3264 §4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.calls.environment import Environment
from trunkline.calls.failure import reason, warning
from trunkline.calls.peers import Target
from trunkline.media.engine import Leg
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import (
    Codec,
    Direction,
    Headers,
    MediaPlan,
    Message,
    NegotiationError,
    SessionDescriber,
    SipParseError,
)
from trunkline.sip.invite import InviteClient, end_unwanted
from trunkline.sip.request import Failure

__all__ = ["Attempt", "AttemptOwner", "Won"]

MAX_EARLY_DIALOGS = 16
"""Early dialogs of one INVITE that are told apart; what further ones say of media is not heard."""


class AnswerMissing(Exception):
    """A 2xx without description, to an INVITE that offered one (RFC 3261 §13.2.1)."""

    reason = "the 200 has no session description"


@dataclass(frozen=True, slots=True)
class Won:
    """The attempt that was answered, and what its channel goes on with."""

    attempt: Attempt
    dialog: Dialog
    describer: SessionDescriber
    plan: MediaPlan


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
        self._offered = env.describer()
        self._early: dict[str, SessionDescriber] = {}
        self._said: set[tuple[str, int, bool]] = set()
        party = target.party
        self.contact = env.addresses.contact(target.flow, party, party.accept_token or env.endpoint.driver.mint_token())
        body = self._offered.offer(
            address=address, port=leg.port, codecs=codecs, direction=direction, ptime_ms=ptime_ms
        )
        self._client = InviteClient(
            env.endpoint,
            self,
            target=target.uri,
            flow=target.flow,
            local=target.local,
            remote=target.remote,
            contact=self.contact,
            body=body,
            headers=[*headers, *target.headers],
            credentials=party.credentials,
            nat=party.nat,
        )

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
        plan = self._preview(message)
        said = (message.to_tag, message.status, plan is not None)
        if said in self._said or len(self._said) >= MAX_EARLY_DIALOGS * 8:
            return  # repeated: every minute while the INVITE waits (RFC 3261 §13.3.1.1)
        self._said.add(said)
        self._owner.on_attempt_progress(self, message, plan)

    def on_answered(self, client: InviteClient, dialog: Dialog, message: Message) -> None:
        """From the client: the first 2xx."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
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
        owner.on_attempt_won(Won(self, dialog, describer, plan))

    def on_refused(self, client: InviteClient, failure: Failure) -> None:
        """From the client: the final failure."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_attempt_failed(self, failure)

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
        early = self._offered.fork()
        try:
            plan = early.accept_answer(message.sdp)
        except (NegotiationError, SipParseError):
            return None
        self._early[message.to_tag] = early
        return plan

    def _agree(self, message: Message) -> tuple[SessionDescriber, MediaPlan]:
        """The answer of the 2xx, or the one of its early dialog where the 2xx repeats none."""
        early = self._early.get(message.to_tag)
        if not message.sdp:
            if early is None or early.plan is None:
                raise AnswerMissing
            return early, early.plan
        # Gateways give the caller's tones one description and the callee another: the last word counts.
        describer = self._offered.fork()
        return describer, describer.accept_answer(message.sdp)
