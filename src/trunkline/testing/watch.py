"""What the test kit's phone does beside calls: a request that is awaited, and a subscription that a test reads.

`Phone` uses both for MESSAGE, PUBLISH and SUBSCRIBE.
"""

from __future__ import annotations

import asyncio

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import State, SubscriptionState

__all__ = ["RequestRefused", "Watch", "ask"]


class RequestRefused(Exception):
    """A request got no 2xx.

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


async def ask(
    endpoint: Endpoint,
    method: str,
    target: str,
    flow: Flow,
    *,
    local: str,
    remote: str,
    headers: Headers = (),
    body: bytes = b"",
    credentials: ClientCredentials | None = None,
    timeout_s: float = 40.0,
) -> Message:
    """Send a request outside of dialogs and wait for its 2xx. RequestRefused where it gets none."""
    done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    call_id, tag = endpoint.driver.mint_call_id(), endpoint.driver.mint_tag()
    sequence = iter(range(1, 100))

    def build() -> tuple[str, list[tuple[str, str]]]:
        fields = [("From", f"{local};tag={tag}"), ("To", remote), ("Call-ID", call_id)]
        return target, [*fields, ("CSeq", f"{next(sequence)} {method}"), *headers]

    def answered(message: Message, source: Flow) -> None:
        if message.status >= 200 and not done.done():
            done.set_result(message)

    def refused(failure: Failure) -> None:
        if not done.done():
            done.set_exception(RequestRefused(failure.status, failure.reason, failure.message))

    ClientRequest(
        endpoint,
        method,
        build,
        flow,
        body=body,
        credentials=credentials,
        on_response=answered,
        on_failure=refused,
    ).start()
    async with asyncio.timeout(timeout_s):
        return await done


class Watch:
    """A subscription of a phone: what it was told, in order."""

    def __init__(self) -> None:
        self.subscriber: Subscriber | None = None
        self.bodies: list[str] = []
        """The body of each NOTIFY so far."""
        self.states: list[SubscriptionState] = []
        """The state that each NOTIFY said."""
        self.failure: Failure | None = None
        """What refused it."""
        self._told = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.subscriber is None or self.subscriber.ended

    async def next(self, timeout_s: float = 10.0) -> str:
        """The body of the next NOTIFY that comes. TimeoutError when none does."""
        seen = len(self.bodies)
        async with asyncio.timeout(timeout_s):
            while len(self.bodies) == seen:
                self._told.clear()
                await self._told.wait()
        return self.bodies[seen]

    def unsubscribe(self) -> None:
        """End it."""
        if self.subscriber is not None:
            self.subscriber.unsubscribe()

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        """From the subscriber."""
        self.bodies.append(message.body.decode())
        self.states.append(state)
        self._told.set()

    def on_ended(self, subscriber: Subscriber, state: SubscriptionState, failure: Failure | None) -> None:
        """From the subscriber."""
        self.failure = failure
        if not self.states or self.states[-1].state is not State.TERMINATED:
            self.states.append(state)
