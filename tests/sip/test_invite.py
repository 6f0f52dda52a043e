"""The INVITE usage by itself: 2xx of several branches, the BYE that waits for its ACK, requests inside a dialog."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import ClientHandler, Endpoint, Flow, Message, NameAddr, RequestReceived, Uri
from trunkline.sip.invite import InviteClient
from trunkline.sip.invite_session import InviteSession
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.request import Failure

FLOW = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


class Wire:
    """Stands for the endpoint: keeps what goes out, and who waits for it."""

    now_s = 0.0

    def __init__(self) -> None:
        self.driver = self
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.handlers: dict[int, ClientHandler] = {}
        self.acks: list[tuple[str, str, dict[str, str]]] = []
        self.answers: list[int] = []
        self.dialogs: set[tuple[str, str, str]] = set()

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        flow: Flow,
        handler: ClientHandler,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        self.sent.append((method, uri, dict(headers)))
        self.handlers[len(self.sent)] = handler
        return len(self.sent)

    def cancel(self, tx: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.sent.append(("CANCEL", str(tx), dict(headers)))

    def send_ack(
        self, tx: int, to_tag: str, uri: str, headers: Sequence[tuple[str, str]], body: bytes, flow: Flow
    ) -> None:
        self.acks.append((to_tag, uri, dict(headers)))

    def respond(self, tx: object, status: int, *args: object, **kwargs: object) -> bool:
        self.answers.append(status)
        return True

    def watch(self, tx: object, handler: object) -> None:
        """Nothing is cancelled here."""

    def add_dialog(self, key: tuple[str, str, str], handler: object, *, remote_cseq: int = 0, leg: int = 0) -> None:
        self.dialogs.add(key)

    def add_inviting(self, call_id: str, local_tag: str, handler: object) -> None:
        """Nothing comes early here."""

    def remove_inviting(self, call_id: str, local_tag: str) -> None:
        """Nothing came early here."""

    def remove_dialog(self, key: tuple[str, str, str]) -> None:
        self.dialogs.discard(key)

    def mint_tag(self) -> str:
        return "ours"

    def mint_call_id(self) -> str:
        return "c"

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.sent]


def parse(*lines: str, body: str = "") -> Message:
    return Message.parse(("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode())


def response(status: int, tag: str = "b", *headers: str, cseq: str = "1 INVITE") -> Message:
    return parse(
        f"SIP/2.0 {status} Whatever",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
        "From: <sip:a@x>;tag=ours",
        f"To: <sip:b@x>;tag={tag}",
        "Call-ID: c",
        f"CSeq: {cseq}",
        *headers,
    )


def request(method: str, cseq: int, *headers: str, body: str = "") -> RequestReceived:
    message = parse(
        f"{method} sip:us@192.0.2.1 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK3",
        "From: <sip:b@x>;tag=b",
        "To: <sip:a@x>;tag=ours",
        "Call-ID: c",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:b@192.0.2.7>",
        *headers,
        body=body,
    )
    return cast(
        RequestReceived, SimpleNamespace(message=message, flow=FLOW, tx=SimpleNamespace(id=cseq, answered=False))
    )


class Owner:
    """Notes what it hears, of an INVITE and of a session."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.reoffers: list[Reoffer] = []

    def on_provisional(self, client: InviteClient, message: Message) -> None:
        self.heard.append(str(message.status))

    def on_answered(self, client: InviteClient, dialog: Dialog, message: Message) -> None:
        self.heard.append(f"answered {dialog.remote_tag}")

    def on_refused(self, client: InviteClient, failure: Failure) -> None:
        self.heard.append(f"refused {failure.status}")

    def on_bye(self, message: Message) -> None:
        self.heard.append("bye")

    def on_lost(self, reason: str) -> None:
        self.heard.append("lost")

    def on_refresh_due(self) -> None:
        self.heard.append("refresh due")

    def on_reinvite(self, offer: Reoffer) -> None:
        self.reoffers.append(offer)

    def on_reoffer_accepted(self, message: Message) -> None:
        self.heard.append("accepted")

    def on_reoffer_refused(self, failure: Failure) -> None:
        self.heard.append(f"reoffer refused {failure.status}")


def client(wire: Wire, owner: Owner) -> InviteClient:
    made = InviteClient(
        cast(Endpoint, wire),
        owner,
        target=Uri.parse("sip:b@192.0.2.7"),
        flow=FLOW,
        local=NameAddr.parse("<sip:a@x>"),
        remote=NameAddr.parse("<sip:b@x>"),
        contact="<sip:us@192.0.2.1>",
        body=b"v=0",
        credentials=ClientCredentials("a", "secret"),
    )
    made.start()
    return made


def session(wire: Wire, owner: Owner, *, confirmed: bool = True) -> InviteSession:
    dialog = Dialog.as_caller(
        response(200, "b", "Contact: <sip:b@192.0.2.7>"),
        FLOW,
        local="<sip:a@x>;tag=ours",
        local_tag="ours",
        cseq=1,
        target="sip:b@192.0.2.7",
        nat=False,
    )
    return InviteSession(cast(Endpoint, wire), dialog, owner, contact="<sip:us@192.0.2.1>", confirmed=confirmed)


# --- calling ------------------------------------------------------------------------------------------------------------


def test_a_2xx_of_another_branch_is_acknowledged_and_ended() -> None:
    wire, owner = Wire(), Owner()
    client(wire, owner)
    handler = wire.handlers[1]
    handler.on_response(1, response(180, "b1"), FLOW)
    handler.on_response(1, response(200, "b1", "Contact: <sip:b1@192.0.2.8>"), FLOW)
    handler.on_response(1, response(200, "b2", "Contact: <sip:b2@192.0.2.9>"), FLOW)
    handler.on_response(1, response(200, "b2", "Contact: <sip:b2@192.0.2.9>"), FLOW)
    assert owner.heard == ["180", "answered b1"]
    assert [(tag, uri) for tag, uri, _ in wire.acks] == [("b1", "sip:b1@192.0.2.8"), ("b2", "sip:b2@192.0.2.9")]
    assert [(method, uri) for method, uri, _ in wire.sent[1:]] == [("BYE", "sip:b2@192.0.2.9")]


def test_the_ack_carries_the_credentials_of_the_invite() -> None:
    wire, owner = Wire(), Owner()
    client(wire, owner)
    wire.handlers[1].on_response(1, response(401, "b", 'WWW-Authenticate: Digest realm="x", nonce="n"'), FLOW)
    wire.handlers[2].on_response(2, response(200, "b", cseq="2 INVITE"), FLOW)
    (_, _, headers), *more = wire.acks
    assert not more
    assert headers["Authorization"] == wire.sent[1][2]["Authorization"]
    assert headers["CSeq"] == "2 ACK"


def test_a_2xx_after_giving_up_is_acknowledged_and_ended_and_nobody_hears() -> None:
    wire, owner = Wire(), Owner()
    client(wire, owner).give_up([("Reason", "SIP ;cause=200")])
    wire.handlers[1].on_response(1, response(200, "b", "Contact: <bad"), FLOW)
    assert owner.heard == []
    assert wire.methods() == ["INVITE", "CANCEL", "BYE"]
    assert len(wire.acks) == 1


def test_a_flood_of_2xx_tags_has_an_end() -> None:
    wire, owner = Wire(), Owner()
    client(wire, owner)
    for number in range(100):
        wire.handlers[1].on_response(1, response(200, f"b{number}"), FLOW)
    assert len(wire.acks) == 32


# --- in the session -----------------------------------------------------------------------------------------------------


def test_a_callees_bye_waits_for_the_ack() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner, confirmed=False)
    here.bye([("Reason", "SIP ;cause=200")])
    assert here.ended
    assert wire.sent == []
    assert wire.dialogs
    here.confirm()
    assert [(method, fields["Reason"]) for method, _, fields in wire.sent] == [("BYE", "SIP ;cause=200")]
    assert not wire.dialogs
    here.bye()
    here.confirm()
    assert len(wire.sent) == 1


def test_their_bye_makes_ours_that_waits_needless() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner, confirmed=False)
    here.bye()
    here.on_dialog_request(request("BYE", 2))
    here.confirm()
    assert wire.answers == [200]
    assert wire.sent == []
    assert owner.heard == []


def test_a_bye_answered_by_rust_counts_once() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.on_bye_answered(request("BYE", 2).message)
    here.on_dialog_request(request("BYE", 2))
    assert owner.heard == ["bye"]


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (request("OPTIONS", 2), 200),
        (request("INFO", 2), 200),
        (request("INFO", 2, "Info-Package: nothing"), 469),
        (request("INFO", 2, "Content-Type: application/x", body="x"), 415),
        (request("UPDATE", 2), 200),
        (request("INVITE", 2, "Require: timer"), 420),
        (request("INVITE", 2, "Content-Type: text/plain", body="hello"), 415),
    ],
)
def test_requests_that_cannot_be_served_have_a_named_answer(received: RequestReceived, status: int) -> None:
    wire, owner = Wire(), Owner()
    session(wire, owner).on_dialog_request(received)
    assert wire.answers == [status]
    assert owner.reoffers == []


def test_an_old_sequence_number_gets_500() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.on_dialog_request(request("OPTIONS", 5))
    here.on_dialog_request(request("BYE", 4))
    assert wire.answers == [200, 500]
    assert owner.heard == []


def test_a_bye_is_never_refused_for_an_extension() -> None:
    wire, owner = Wire(), Owner()
    session(wire, owner).on_dialog_request(request("BYE", 2, "Require: unheard-of"))
    assert wire.answers == [200]


def test_a_second_reinvite_before_the_first_is_answered_gets_500() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.on_dialog_request(request("INVITE", 2))
    here.on_dialog_request(request("INVITE", 3))
    assert wire.answers == [500]
    assert len(owner.reoffers) == 1


def test_a_reinvite_that_crosses_ours_gets_491() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.reinvite(b"v=0", owner)
    here.on_dialog_request(request("INVITE", 2))
    assert wire.answers == [491]
    with pytest.raises(ValueError, match="open"):
        here.reinvite(b"v=0", owner)


def test_their_bye_answers_their_open_reinvite_with_487() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.on_dialog_request(request("INVITE", 2))
    withdrawn: list[bool] = []
    owner.reoffers[0].on_withdrawn = lambda: withdrawn.append(True)
    here.on_dialog_request(request("BYE", 3))
    assert wire.answers == [200, 487]
    assert withdrawn == [True]
    assert owner.heard == ["bye"]


@pytest.mark.parametrize("status", [408, 481])
def test_a_reinvite_that_finds_no_dialog_loses_it(status: int) -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.reinvite(b"v=0", owner)
    wire.handlers[1].on_response(1, response(status, cseq="2 INVITE"), FLOW)
    assert owner.heard == ["lost"]
    assert here.ended
    assert wire.methods() == ["INVITE", "BYE"]


def test_a_reinvite_that_nobody_answers_loses_the_dialog() -> None:
    wire, owner = Wire(), Owner()
    session(wire, owner).reinvite(b"v=0", owner)
    wire.handlers[1].on_failure(1, "connection refused")
    assert owner.heard == ["lost"]


def test_a_refused_reinvite_leaves_the_session() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.reinvite(b"v=0", owner)
    wire.handlers[1].on_response(1, response(488, cseq="2 INVITE"), FLOW)
    assert owner.heard == ["reoffer refused 488"]
    assert not here.busy
    assert not here.ended


def test_a_2xx_to_a_reinvite_is_acknowledged_even_when_malformed_or_late() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    here.reinvite(b"v=0", owner)
    here.bye()
    wire.handlers[1].on_response(1, response(200, "b", "Contact: <bad", cseq="2 INVITE"), FLOW)
    assert [headers["CSeq"] for _, _, headers in wire.acks] == ["2 ACK"]
    assert owner.heard == []


def test_the_wait_after_491_is_longer_for_who_made_the_call_id() -> None:
    wire, owner = Wire(), Owner()
    here = session(wire, owner)
    for _ in range(50):
        assert 2.1 <= here.glare_wait_s <= 4.0
    here.dialog.caller = False
    for _ in range(50):
        assert 0.0 <= here.glare_wait_s <= 2.0
