"""What a scripted call is made of besides its script: how it ends, and a dialog whose side may be rude, as the agent says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.description import FaxAttributes
from trunkline.sip.dialog import Dialog
from trunkline.sip.early_update import EarlyUpdate, EarlyUpdates
from trunkline.sip.endpoint import Headers, Message, RequestReceived
from trunkline.sip.invite_session import InviteSession
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.uas import refuse_unserved

if TYPE_CHECKING:
    from trunkline.testing.agent import Agent

__all__ = ["T38", "CallRefused", "EarlyScript", "Ended", "ScriptedSession", "fail", "send_in", "within"]

T38: FaxAttributes = (("T38FaxVersion", "0"), ("T38MaxBitRate", "14400"), ("T38FaxRateManagement", "transferredTCF"))

"""What a plain fax machine says of itself (ITU-T T.38 Annex D)."""

T = TypeVar("T")


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Let whoever waits for it hear of an error; nobody has to."""
    if not future.done():
        future.set_exception(error)
        # looked at, so that a script that does not wait for it gets no complaint
        future.exception()


async def within(future: asyncio.Future[T], timeout_s: float) -> T:
    """The result, or TimeoutError."""
    async with asyncio.timeout(timeout_s):
        # shielded: a wait that runs out of time must not take the result from a later one
        return await asyncio.shield(future)


def send_in(
    agent: Agent, dialog: Dialog, method: str, headers: Headers, body: bytes, credentials: ClientCredentials | None
) -> asyncio.Future[Message]:
    """Send a request in a dialog; the future is its final response, or CallRefused where none comes."""
    done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def build() -> tuple[str, list[tuple[str, str]]]:
        uri, fields = dialog.request(method)
        return uri, [*fields, *headers]

    def fail(failure: Failure) -> None:
        if failure.message is not None:
            done.set_result(failure.message)
        else:
            done.set_exception(CallRefused(failure.status, failure.reason, None))

    ClientRequest(
        agent.endpoint,
        method,
        build,
        dialog.flow,
        body=body,
        credentials=credentials,
        on_response=lambda message, flow: done.set_result(message) if message.status >= 200 else None,
        on_failure=fail,
    ).start()
    return done


class EarlyScript:
    """The early dialog of a call that arrived, where provisionals go out reliably: UPDATEs in it are given to the script.

    Args:
        agent: Whose call it is.
        dialog: The dialog.
        on_offer: Answers an offer of theirs.
    """

    def __init__(self, agent: Agent, dialog: Dialog, on_offer: Callable[[EarlyUpdate], None]) -> None:
        self._endpoint = agent.endpoint
        self._dialog = dialog
        self._updates = EarlyUpdates(agent.endpoint, lambda: dialog, contact=agent.contact, on_offer=on_offer)
        agent.endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq)

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        if self._dialog.accepts(request.message) and request.message.method == "UPDATE":
            self._updates.take(request)
        else:
            refuse_unserved(self._endpoint, request)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: the CANCEL or the final answer tells it all."""


class CallRefused(Exception):
    """The call that was placed got a final failure.

    Args:
        status: The final status.
        reason: Its reason phrase.
        message: The response; None when none came.
    """

    def __init__(self, status: int, reason: str, message: Message | None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    by_us: bool
    how: str
    """One of bye, cancel, refused, lost."""
    status: int = 0
    message: Message | None = None


class ScriptedSession(InviteSession):
    """A session whose side may be rude, as the agent says."""

    agent: Agent

    def _refresh(self) -> None:
        if not self.agent.forgets_refreshes:
            super()._refresh()

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint: silent, refused, challenged, or taken as by any other."""
        method = request.message.method
        refusal = self.agent.refuse_inside.get(method)
        if method in self.agent.silent_inside:
            return
        if refusal is not None:
            self.endpoint.respond(request.tx, refusal, None, self.agent.refuse_headers)
        elif method in self.agent.challenge_inside and request.credentials is None:
            self.endpoint.driver.challenge(request.tx)
        else:
            super().on_dialog_request(request)
