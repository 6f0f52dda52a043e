"""A notifier and a subscriber on the virtual network, for tests of subscriptions alone: one package, one resource."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from trunkline.sip.endpoint import Endpoint, Flow, Message, NameAddr, RequestReceived, Uri
from trunkline.sip.notifier import Body, Notifier, accept_subscription
from trunkline.sip.request import Failure
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import EventType, Expiry, SubscriptionRefused, SubscriptionState
from trunkline.testing.clock import run
from trunkline.testing.network import VirtualNetwork

SERVER, PHONE = "10.0.0.1", "10.0.0.2"
LINE = EventType("weather")


class Station:
    """Serves one package; its state is a word."""

    def __init__(self, endpoint: Endpoint, expiry: Expiry, min_interval_s: float) -> None:
        self.endpoint = endpoint
        self.expiry = expiry
        self.min_interval_s = min_interval_s
        self.word = "sun"
        self.full: list[bool] = []
        self.notifiers: list[Notifier] = []
        self.ended: list[str] = []
        endpoint.on_request = self.on_request

    def on_request(self, request: RequestReceived) -> None:
        try:
            expires_s = self.expiry.grant_s(request.message)
        except SubscriptionRefused as refused:
            self.endpoint.respond(request.tx, refused.status, None, refused.headers)
            return
        event = EventType.of(request.message)
        assert event is not None
        notifier = accept_subscription(
            self.endpoint,
            request,
            self,
            event=event,
            contact=f"<sip:station@{SERVER}>",
            expires_s=expires_s,
            expiry=self.expiry,
            min_interval_s=self.min_interval_s,
        )
        self.notifiers.append(notifier)

    def say(self, word: str) -> None:
        self.word = word
        for notifier in self.notifiers:
            notifier.changed()

    def body(self, *, full: bool) -> Body:
        self.full.append(full)
        return Body("text/plain", self.word.encode())

    def on_ended(self, notifier: Notifier, reason: str) -> None:
        self.notifiers.remove(notifier)
        self.ended.append(reason)


class Listener:
    """Hears what a subscriber hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.states: list[str] = []
        self.ended: list[tuple[str, int]] = []

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        self.heard.append(message.body.decode())
        self.states.append(f"{state.state.value} {state.reason}".strip())

    def on_ended(self, subscriber: Subscriber, state: SubscriptionState, failure: Failure | None) -> None:
        self.ended.append((state.reason, failure.status if failure is not None else 0))


class Pair:
    """Both, and the network between them."""

    def __init__(
        self, *, seed: int = 1, loss: float = 0.0, expiry: Expiry | None = None, min_interval_s: float = 0.0
    ) -> None:
        self.network = VirtualNetwork(seed)
        self.network.default_link.loss = loss
        self.server = Endpoint(self.network.host(SERVER).driver)
        self.phone = Endpoint(self.network.host(PHONE).driver)
        self.station = Station(self.server, expiry or Expiry(), min_interval_s)
        self.listener = Listener()

    def subscribe(self, expires_s: int = 600, **options: Any) -> Subscriber:
        subscriber = Subscriber(
            self.phone,
            self.listener,
            **{
                "event": LINE,
                "contact": f"<sip:phone@{PHONE}:5060>",
                "target": Uri("sip", "station", SERVER),
                "flow": Flow("udp", (SERVER, 5060), (PHONE, 5060)),
                "local": NameAddr(Uri("sip", "phone", SERVER)),
                "remote": NameAddr(Uri("sip", "station", SERVER)),
                "expires_s": expires_s,
                **options,
            },
        )
        subscriber.start()
        return subscriber

    def sent(self, start: str) -> list[Message]:
        """What arrived whose first line begins so."""
        return [
            Message.parse(packet.data) for packet in self.network.delivered if packet.data.startswith(start.encode())
        ]

    def count(self, start: str) -> int:
        """How many requests or responses of that beginning were sent, repeats not counted."""
        return len({(message.call_id, message.cseq, message.from_tag) for message in self.sent(start)})

    def nothing_left(self) -> bool:
        return self.server.live["dialogs"] == 0 == self.phone.live["dialogs"]


def perform(scenario: Callable[[Pair], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a scenario in virtual time."""

    async def main() -> None:
        pair = Pair(**options)
        for endpoint, address in ((pair.server, SERVER), (pair.phone, PHONE)):
            endpoint.attach()
            pair.network.hosts[address].driver.listen("udp", address, 5060)
        try:
            await scenario(pair)
        finally:
            pair.server.detach()
            pair.phone.detach()
            await asyncio.sleep(0)

    run(main())
