"""RFC 3261 §12: who is in a dialog, where its requests go, and in which order they come."""

from __future__ import annotations

import pytest

from trunkline.sip.dialog import Dialog, DialogError, behind_nat, next_hop
from trunkline.sip.endpoint import Flow, Message, Uri

FLOW = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


def invite(*headers: str, via: str = "192.0.2.7:5060", contact: str = "Contact: <sip:alice@192.0.2.7:5060>") -> Message:
    lines = [
        "INVITE sip:bob@pbx.example SIP/2.0",
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bK1",
        "From: Alice <sip:alice@pbx.example>;tag=a",
        "To: <sip:bob@pbx.example>",
        "Call-ID: c1",
        "CSeq: 7 INVITE",
        *([contact] if contact else []),
        *headers,
        "Content-Length: 0",
    ]
    return Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def ok(*headers: str) -> Message:
    lines = [
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
        "From: <sip:us@pbx.example>;tag=u",
        "To: <sip:bob@pbx.example>;tag=b",
        "Call-ID: c2",
        "CSeq: 3 INVITE",
        *headers,
        "Content-Length: 0",
    ]
    return Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def caller(*headers: str, nat: bool = False) -> Dialog:
    return Dialog.as_caller(
        ok(*headers),
        FLOW,
        local="<sip:us@pbx.example>;tag=u",
        local_tag="u",
        cseq=3,
        target="sip:bob@192.0.2.7",
        nat=nat,
    )


def request(dialog: Dialog, method: str = "BYE") -> tuple[str, dict[str, list[str]]]:
    uri, headers = dialog.request(method)
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    return uri, fields


def test_requests_of_the_callee_go_to_the_contact_with_swapped_tags() -> None:
    dialog = Dialog.as_callee(invite(), FLOW, "t")
    uri, fields = request(dialog)
    assert uri == "sip:alice@192.0.2.7:5060"
    assert fields["From"] == ["<sip:bob@pbx.example>;tag=t"]
    assert fields["To"][0].endswith(";tag=a")
    assert fields["Call-ID"] == ["c1"]
    assert fields["CSeq"] == ["1 BYE"]
    assert dialog.key == ("c1", "t", "a")
    assert not dialog.caller


def test_the_callees_route_set_is_in_order_and_the_callers_reversed() -> None:
    routes = ("Record-Route: <sip:192.0.2.20;lr>", "Record-Route: <sip:192.0.2.21;lr>")
    callee = Dialog.as_callee(invite(*routes), FLOW, "t")
    assert request(callee)[1]["Route"] == ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21;lr>"]
    assert callee.flow.remote == ("192.0.2.20", 5060)
    calling = caller(*routes, "Contact: <sip:bob@192.0.2.9>")
    assert request(calling)[1]["Route"] == ["<sip:192.0.2.21;lr>", "<sip:192.0.2.20;lr>"]
    assert calling.flow.remote == ("192.0.2.21", 5060)
    assert calling.caller


def test_a_strict_router_becomes_the_request_uri_and_the_target_the_last_route() -> None:
    dialog = caller(
        "Record-Route: <sip:192.0.2.20;lr>, <sip:192.0.2.21;method=INVITE?Subject=x>",
        "Contact: <sip:bob@192.0.2.9>",
    )
    uri, fields = request(dialog)
    assert uri == "sip:192.0.2.21"
    assert fields["Route"] == ["<sip:192.0.2.20;lr>", "<sip:bob@192.0.2.9>"]


def test_sequence_numbers_grow_and_the_ack_repeats_the_invites() -> None:
    dialog = caller("Contact: <sip:bob@192.0.2.9>")
    assert dict(dialog.ack(3)[1])["CSeq"] == "3 ACK"
    assert request(dialog, "INVITE")[1]["CSeq"] == ["4 INVITE"]
    assert request(dialog)[1]["CSeq"] == ["5 BYE"]


def test_a_request_out_of_order_is_not_accepted() -> None:
    dialog = Dialog.as_callee(invite(), FLOW, "t")
    assert not dialog.accepts(invite())
    later = Message.parse(invite().raw.replace(b"CSeq: 7", b"CSeq: 9"))
    assert dialog.accepts(later)
    assert not dialog.accepts(Message.parse(invite().raw.replace(b"CSeq: 7", b"CSeq: 8")))


@pytest.mark.parametrize(
    "message",
    [
        invite(contact=""),
        invite("Contact: <sip:other@192.0.2.8>"),
        invite(contact="Contact: <mailto:alice@pbx.example>"),
        invite(contact='Contact: "unclosed <sip:x'),
        invite("Record-Route: <sip:192.0.2.20;lr"),
        invite(*[f"Record-Route: <sip:192.0.2.{n};lr>" for n in range(30)]),
    ],
    ids=["no contact", "two contacts", "no sip uri", "malformed contact", "malformed route", "too many routes"],
)
def test_a_request_that_can_make_no_dialog_says_why(message: Message) -> None:
    with pytest.raises(DialogError) as caught:
        Dialog.as_callee(message, FLOW, "t")
    assert caught.value.status == 400
    assert caught.value.reason


@pytest.mark.parametrize("headers", [(), ('Contact: "unclosed <sip:x',), ("Record-Route: <sip:x", "Contact: <bad")])
def test_a_2xx_always_makes_a_dialog_so_that_it_can_be_ended(headers: tuple[str, ...]) -> None:
    uri, fields = request(caller(*headers))
    assert uri == "sip:bob@192.0.2.7"
    assert "Route" not in fields


def test_a_refreshed_target_moves_the_dialog() -> None:
    dialog = Dialog.as_callee(invite(), FLOW, "t")
    moved = Flow("udp", ("192.0.2.8", 5070), FLOW.local)
    dialog.refresh_target(invite(via="192.0.2.8:5070", contact="Contact: <sip:alice@192.0.2.8:5070>"), moved)
    assert request(dialog)[0] == "sip:alice@192.0.2.8:5070"
    assert dialog.flow.remote == ("192.0.2.8", 5070)


def test_a_malformed_refresh_leaves_the_target() -> None:
    dialog = Dialog.as_callee(invite(), FLOW, "t")
    with pytest.raises(DialogError):
        dialog.refresh_target(invite(contact='Contact: "unclosed <sip:x'), FLOW)
    assert dialog.remote_target == "sip:alice@192.0.2.7:5060"


def test_a_peer_behind_nat_is_reached_over_the_flow_it_opened() -> None:
    message = invite(via="10.0.0.5:5060", contact="Contact: <sip:alice@10.0.0.5:5060>")
    assert behind_nat(message, FLOW)
    dialog = Dialog.as_callee(message, FLOW, "t")
    assert dialog.nat
    assert dialog.flow == FLOW
    assert request(dialog)[0] == "sip:alice@10.0.0.5:5060"


def test_a_rewritten_source_port_is_nat_on_udp_and_says_nothing_on_a_stream() -> None:
    message = invite(via="192.0.2.7:9999")
    assert behind_nat(message, FLOW)
    assert not behind_nat(message, Flow("tcp", ("192.0.2.7", 40000), FLOW.local, 3))
    assert not behind_nat(invite(), FLOW)


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("sip:x@8.8.4.9:5070", ("8.8.4.9", 5070)),
        ("sip:x@8.8.4.9", ("8.8.4.9", 5060)),
        ("sip:x@phone.example", ("8.8.4.4", 5066)),
        ("sip:x@10.0.0.5", ("8.8.4.4", 5066)),
        ("sip:x@[2001:db8::1]", ("8.8.4.4", 5066)),
        ("sip:x@0.0.0.0", ("8.8.4.4", 5066)),
        ("sip:x@8.8.4.9;transport=tls", ("8.8.4.4", 5066)),
    ],
)
def test_an_address_is_believed_only_where_the_peer_can_have_it(uri: str, remote: tuple[str, int]) -> None:
    source = Flow("udp", ("8.8.4.4", 5066), ("8.8.8.8", 5060))
    assert next_hop(Uri.parse(uri), source).remote == remote
