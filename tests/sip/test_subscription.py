"""RFC 6665: a subscription from SUBSCRIBE to its last NOTIFY, seen from both sides, with loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.sip.subscribing import PHONE, SERVER, Pair, perform
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, Parameterized, RequestReceived, SipParseError
from trunkline.sip.notifier import Notifier
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import (
    ADVICE,
    Advice,
    EventType,
    Expiry,
    State,
    SubscriptionRefused,
    SubscriptionState,
)
from trunkline.testing.network import Packet


def message(*headers: str) -> Message:
    lines = ["NOTIFY sip:a@b SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "From: <sip:a@b>;tag=a"]
    lines += ["To: <sip:c@d>;tag=b", "Call-ID: c", "CSeq: 1 NOTIFY", *headers, "Content-Length: 0"]
    return Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def answering(endpoint: Endpoint, status: int, headers: Headers = ()) -> Callable[[RequestReceived], None]:
    """Answers every request so."""

    def answer(request: RequestReceived) -> None:
        endpoint.respond(request.tx, status, None, headers)

    return answer


# --- values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("active;expires=60", SubscriptionState(State.ACTIVE, 60)),
        ("Pending ; expires=5", SubscriptionState(State.PENDING, 5)),
        ("terminated;reason=Probation;retry-after=9", SubscriptionState(State.TERMINATED, None, "probation", 9)),
        ("waiting", SubscriptionState(State.PENDING)),
        ("active;expires=99999999999999", SubscriptionState(State.ACTIVE, 2**32 - 1)),
    ],
)
def test_a_state_is_read(text: str, state: SubscriptionState) -> None:
    assert SubscriptionState.of(message(f"Subscription-State: {text}")) == state


@pytest.mark.parametrize(
    "state", [SubscriptionState(State.TERMINATED, None, "giveup", 3), SubscriptionState(State.ACTIVE, 7)]
)
def test_a_state_that_is_written_reads_back(state: SubscriptionState) -> None:
    assert SubscriptionState.of(message(f"Subscription-State: {state}")) == state


@pytest.mark.parametrize("headers", [(), ("Subscription-State: ;x",), ("Subscription-State: active;=",)])
def test_a_state_that_is_missing_or_malformed_is_refused(headers: tuple[str, ...]) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        SubscriptionState.of(message(*headers))
    assert refused.value.status == 400


def test_events_are_told_apart_by_package_and_id_alone() -> None:
    assert EventType.of(message("Event: dialog;sla;id=4")) == EventType("dialog", "4")
    assert EventType.of(message("o: dialog")) == EventType("dialog")
    assert EventType.of(message()) is None
    assert str(EventType("refer", "93")) == "refer;id=93"
    with pytest.raises(SipParseError):
        Parameterized.parse("a b")


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("deactivated", Advice.AGAIN_NOW), ("probation", Advice.AGAIN_LATER), ("rejected", Advice.NEVER)],
)
def test_a_reason_says_what_to_do(reason: str, advice: Advice) -> None:
    assert SubscriptionState(State.TERMINATED, None, reason).advice is advice is ADVICE[reason]
    assert SubscriptionState(State.TERMINATED, None, "nonsense").advice is Advice.AGAIN_NOW


@pytest.mark.parametrize(("asked", "granted"), [(None, 300), ("0", 0), ("60", 60), ("9000", 600), ("nonsense", 600)])
def test_a_duration_is_granted_within_bounds(asked: str | None, granted: int) -> None:
    headers = () if asked is None else (f"Expires: {asked}",)
    assert Expiry(60, 300, 600).grant_s(message(*headers)) == granted


def test_too_short_a_duration_is_refused_with_the_least() -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        Expiry(60, 300, 600).grant_s(message("Expires: 59"))
    assert (refused.value.status, refused.value.headers) == (423, (("Min-Expires", "60"),))


# --- both sides -----------------------------------------------------------------------------------------------------------


def test_a_subscription_is_told_at_once_on_change_and_at_its_end() -> None:
    async def scenario(pair: Pair) -> None:
        subscriber = pair.subscribe()
        await asyncio.sleep(1)
        pair.station.say("rain")
        await asyncio.sleep(1)
        subscriber.unsubscribe()
        await asyncio.sleep(1)
        assert pair.listener.heard == ["sun", "rain", "rain"]
        assert pair.listener.states == ["active", "active", "terminated timeout"]
        assert pair.listener.ended == [("timeout", 0)]
        assert pair.station.ended == ["timeout"]
        assert pair.station.full == [True, False, False]
        assert pair.nothing_left()

    perform(scenario)


def test_a_subscription_is_refreshed_before_it_lapses_and_told_in_full() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe(100)
        await asyncio.sleep(950)
        assert pair.count("SUBSCRIBE") > 8
        assert not pair.station.ended
        assert all(pair.station.full)
        assert set(pair.listener.states) == {"active"}

    perform(scenario)


def test_a_subscription_that_is_not_refreshed_ends_with_timeout() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe(100)
        await asyncio.sleep(1)
        pair.network.filters.append(lambda packet: 0 if packet.data.startswith(b"SUBSCRIBE") else 1)
        await asyncio.sleep(101)
        assert pair.listener.states[-1] == "terminated timeout"
        assert pair.station.ended == ["timeout"]
        await asyncio.sleep(40)
        assert len(pair.listener.ended) == 1
        assert pair.nothing_left()

    perform(scenario)


def test_a_fetch_is_told_once_and_leaves_nothing() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe(0)
        await asyncio.sleep(1)
        assert pair.listener.heard == ["sun"]
        assert pair.listener.states == ["terminated timeout"]
        assert pair.nothing_left()

    perform(scenario)


def test_after_423_it_is_asked_for_as_long_as_they_want() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe(20)
        await asyncio.sleep(1)
        assert [message.header("Expires") for message in pair.sent("SUBSCRIBE")] == ["20", "60"]
        assert pair.listener.heard == ["sun"]

    perform(scenario)


def test_a_refusal_ends_it() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.on_request = answering(pair.server, 489)
        pair.subscribe()
        await asyncio.sleep(1)
        assert pair.listener.ended == [("rejected", 489)]
        assert pair.nothing_left()

    perform(scenario)


def test_a_notify_before_the_2xx_makes_the_dialog() -> None:
    async def scenario(pair: Pair) -> None:
        late = lambda packet: 0 if packet.data.startswith(b"SIP/2.0 200") and b" SUBSCRIBE" in packet.data else 1  # noqa: E731
        pair.network.filters.append(late)
        subscriber = pair.subscribe()
        await asyncio.sleep(0.3)
        assert pair.listener.heard == ["sun"]
        assert subscriber.dialog is not None
        pair.network.filters.clear()
        await asyncio.sleep(5)
        assert not subscriber.ended
        subscriber.unsubscribe()
        await asyncio.sleep(1)
        assert pair.listener.states[-1] == "terminated timeout"
        assert pair.nothing_left()

    perform(scenario)


def test_a_2xx_without_notify_is_given_up_after_timer_n() -> None:
    async def scenario(pair: Pair) -> None:
        pair.network.filters.append(lambda packet: 0 if packet.data.startswith(b"NOTIFY") else 1)
        pair.subscribe()
        await asyncio.sleep(31)
        assert not pair.listener.ended
        await asyncio.sleep(2)
        assert pair.listener.ended == [("giveup", 0)]
        assert pair.phone.live["dialogs"] == 0

    perform(scenario)


def test_a_notify_of_another_branch_gets_481() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(1)
        notify = pair.sent("NOTIFY")[0]
        fork = notify.raw.replace(f"tag={notify.from_tag}".encode(), b"tag=fork").replace(b"z9hG4bK", b"z9hG4bKfork")
        pair.network.send_datagram(Packet("udp", (SERVER, 5060), (PHONE, 5060), fork))
        await asyncio.sleep(1)
        assert [answer.to_tag for answer in pair.sent("SIP/2.0 481")] == [notify.to_tag]
        assert pair.listener.heard == ["sun"]

    perform(scenario)


def test_a_notify_of_another_package_gets_489_and_one_without_state_400() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(1)
        raw = pair.sent("NOTIFY")[0].raw
        cseq = raw.split(b"CSeq: ")[1].split(b" ")[0]
        for number, (old, new) in enumerate(
            [(b"Event: weather", b"Event: tides"), (b"Subscription-State: ", b"X-State: ")]
        ):
            changed = raw.replace(b"z9hG4bK", b"z9hG4bK%d" % number).replace(old, new)
            changed = changed.replace(b"CSeq: " + cseq, b"CSeq: %d" % (50 + number))
            pair.network.send_datagram(Packet("udp", (SERVER, 5060), (PHONE, 5060), changed))
            await asyncio.sleep(1)
        assert len(pair.sent("SIP/2.0 489")) == len(pair.sent("SIP/2.0 400")) == 1
        assert pair.listener.heard == ["sun"]

    perform(scenario)


# --- the notifier ---------------------------------------------------------------------------------------------------------


def test_at_most_one_notify_is_under_way_and_the_newest_state_follows() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(1)
        pair.network.link(SERVER, PHONE).delay_s = 0.2
        for word in ("a", "b", "c", "d"):
            pair.station.say(word)
        await asyncio.sleep(2)
        assert pair.listener.heard == ["sun", "a", "d"]

    perform(scenario)


def test_changes_within_the_least_interval_are_told_together() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(10)
        for word in ("a", "b", "c"):
            pair.station.say(word)
            await asyncio.sleep(0.5)
        assert pair.listener.heard == ["sun", "a"]
        await asyncio.sleep(5)
        assert pair.listener.heard == ["sun", "a", "c"]

    perform(scenario, min_interval_s=5.0)


@pytest.mark.parametrize("status", [481, 403, 500])
def test_a_notify_that_is_refused_ends_it_at_once(status: int) -> None:
    async def scenario(pair: Pair) -> None:
        subscriber = pair.subscribe()
        await asyncio.sleep(1)
        subscriber.on_dialog_request = answering(pair.phone, status)  # type: ignore[assignment,method-assign]
        pair.station.say("rain")
        await asyncio.sleep(1)
        assert pair.station.ended[0].startswith(f"NOTIFY failed: {status}")
        assert pair.server.live["dialogs"] == 0

    perform(scenario)


def test_a_notify_that_meets_silence_ends_it() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(1)
        pair.phone.detach()
        pair.station.say("rain")
        await asyncio.sleep(40)
        assert pair.station.ended == ["NOTIFY failed: 408 Request Timeout"]
        assert pair.server.live["dialogs"] == 0

    perform(scenario)


def test_a_notify_with_retry_after_is_repeated_in_full() -> None:
    async def scenario(pair: Pair) -> None:
        subscriber = pair.subscribe()
        await asyncio.sleep(1)
        theirs = subscriber.on_dialog_request
        later = [("Retry-After", "7")]
        subscriber.on_dialog_request = answering(pair.phone, 503, later)  # type: ignore[assignment,method-assign]
        pair.station.say("rain")
        await asyncio.sleep(1)
        subscriber.on_dialog_request = theirs  # type: ignore[method-assign]
        await asyncio.sleep(3)
        assert pair.listener.heard == ["sun"]
        await asyncio.sleep(5)
        assert pair.listener.heard == ["sun", "rain"]
        assert pair.station.full == [True, False, True]

    perform(scenario)


def test_the_end_waits_for_the_notify_that_is_under_way() -> None:
    async def scenario(pair: Pair) -> None:
        pair.subscribe()
        await asyncio.sleep(1)
        pair.network.link(SERVER, PHONE).delay_s = 0.2
        pair.station.say("rain")
        pair.station.notifiers[0].terminate("noresource")
        await asyncio.sleep(2)
        assert pair.listener.states[-2:] == ["active", "terminated noresource"]
        assert pair.listener.ended == [("noresource", 0)]
        assert pair.nothing_left()

    perform(scenario)


def test_a_refresh_after_the_end_or_for_another_event_gets_481() -> None:
    async def scenario(pair: Pair) -> None:
        subscriber = pair.subscribe()
        await asyncio.sleep(1)
        assert subscriber.dialog is not None
        subscriber.event = EventType("tides")
        subscriber._refresh()
        await asyncio.sleep(1)
        assert len(pair.sent("SIP/2.0 481")) == 1
        assert pair.listener.ended == [("deactivated", 481)]
        assert len(pair.station.notifiers) == 1

    perform(scenario)


def test_a_subscriber_behind_nat_is_told_over_its_flow() -> None:
    async def scenario(pair: Pair) -> None:
        subscribe = (
            f"SUBSCRIBE sip:station@{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=z9hG4bK1;rport\r\n"
            "From: <sip:a@b>;tag=a\r\nTo: <sip:station@b>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nEvent: weather\r\n"
            "Contact: <sip:a@192.168.1.9>\r\nContent-Length: 0\r\n\r\n"
        )
        pair.network.send_datagram(Packet("udp", (PHONE, 5060), (SERVER, 5060), subscribe.encode()))
        await asyncio.sleep(0.3)
        assert pair.sent("NOTIFY")[0].uri_text == "sip:a@192.168.1.9"

    perform(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_with_a_fifth_lost_each_way_the_last_word_arrives(seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        subscriber = pair.subscribe(600)
        for number in range(20):
            await asyncio.sleep(7)
            pair.station.say(str(number))
        await asyncio.sleep(60)
        assert pair.listener.heard[-1] == "19"
        numbers = [int(word) for word in pair.listener.heard if word != "sun"]
        assert numbers == sorted(numbers)
        subscriber.unsubscribe()
        await asyncio.sleep(100)
        assert pair.nothing_left()

    perform(scenario, seed=seed, loss=0.2)


# --- REFER ----------------------------------------------------------------------------------------------------------------


def referred(pair: Pair, notifiers: list[Notifier]) -> Callable[[RequestReceived], None]:
    """Accepts a REFER, which makes a subscription (RFC 3515 §2.4.4)."""

    def take(request: RequestReceived) -> None:
        tag = pair.server.driver.mint_tag()
        dialog = Dialog.as_callee(request.message, request.flow, tag)
        pair.server.respond(request.tx, 202, None, [("Contact", f"<sip:station@{SERVER}>")], to_tag=tag)
        notifier = Notifier(
            pair.server, dialog, pair.station, event=EventType("refer"), contact=f"<sip:{SERVER}>", owns_dialog=True
        )
        notifiers.append(notifier)
        pair.station.notifiers.append(notifier)
        notifier.start(60)

    return take


def test_a_refer_makes_a_subscription_that_ends_with_its_outcome() -> None:
    async def scenario(pair: Pair) -> None:
        notifiers: list[Notifier] = []
        pair.server.on_request = referred(pair, notifiers)
        pair.subscribe(event=EventType("refer"), method="REFER", headers=[("Refer-To", "<sip:carol@pbx.example>")])
        await asyncio.sleep(1)
        pair.station.word = "200 OK"
        notifiers[0].terminate("noresource")
        await asyncio.sleep(1)
        (refer,) = pair.sent("REFER")
        assert refer.header("Event") is None
        assert pair.listener.heard == ["sun", "200 OK"]
        assert pair.listener.ended == [("noresource", 0)]
        assert pair.nothing_left()

    perform(scenario)


class Usage:
    """Has a dialog that a subscription shares: hands it what is its own."""

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.subscription: Subscriber | Notifier | None = None

    def on_dialog_request(self, request: RequestReceived) -> None:
        assert self.dialog.accepts(request.message)
        if isinstance(self.subscription, Subscriber):
            self.subscription.on_dialog_request(request)
        elif self.subscription is not None:
            self.subscription.on_subscribe(request)

    def on_bye_answered(self, message: Message) -> None:
        """Nobody hangs up here."""


def shared(pair: Pair) -> tuple[Usage, Usage]:
    """A dialog between the two, as a call has made it."""
    ours, theirs = f"<sip:phone@{SERVER}>;tag=p", f"<sip:station@{SERVER}>;tag=s"
    phone = Usage(Dialog("c", "p", "s", ours, theirs, f"sip:{SERVER}", Flow("udp", (SERVER, 5060), (PHONE, 5060))))
    server = Usage(Dialog("c", "s", "p", theirs, ours, f"sip:{PHONE}", Flow("udp", (PHONE, 5060), (SERVER, 5060))))
    pair.phone.add_dialog(phone.dialog.key, phone)
    pair.server.add_dialog(server.dialog.key, server)
    return phone, server


def test_a_subscription_inside_a_call_shares_its_dialog_and_leaves_it_standing() -> None:
    async def scenario(pair: Pair) -> None:
        phone, server = shared(pair)
        refer = EventType("refer", "7")
        subscriber = Subscriber.inside(pair.phone, pair.listener, phone.dialog, event=refer, contact=f"<sip:{PHONE}>")
        notifier = Notifier(pair.server, server.dialog, pair.station, event=refer, contact=f"<sip:{SERVER}>")
        phone.subscription, server.subscription = subscriber, notifier
        pair.station.notifiers.append(notifier)
        notifier.start(60)
        await asyncio.sleep(55)
        pair.station.say("180 Ringing")
        await asyncio.sleep(1)
        assert pair.count("SUBSCRIBE") == 1
        assert pair.listener.heard == ["sun", "sun", "180 Ringing"]
        notifier.terminate("noresource")
        await asyncio.sleep(1)
        assert pair.listener.ended == [("noresource", 0)]
        assert pair.server.live["dialogs"] == pair.phone.live["dialogs"] == 1

    perform(scenario)


def test_a_refer_inside_a_call_that_is_never_told_of_is_given_up() -> None:
    async def scenario(pair: Pair) -> None:
        phone, _ = shared(pair)
        Subscriber.inside(pair.phone, pair.listener, phone.dialog, event=EventType("refer"), contact=f"<sip:{PHONE}>")
        await asyncio.sleep(33)
        assert pair.listener.ended == [("giveup", 0)]

    perform(scenario)
