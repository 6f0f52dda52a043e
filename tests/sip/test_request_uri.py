"""A Contact may carry a method and headers; a Request-URI may not (RFC 3261 §19.1.1, table 1): its receiver answers 400."""

from __future__ import annotations

from trunkline.sip.dialog import Dialog, request_uri
from trunkline.sip.endpoint import Flow, Message, Uri

FLOW = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))
CONTACT = "sip:alice@192.0.2.7:5060;method=BYE;ob?Subject=x&Route=%3Csip:evil%3E"


def test_method_and_headers_are_not_taken_over_into_a_request_uri() -> None:
    assert request_uri(Uri.parse(CONTACT)) == "sip:alice@192.0.2.7:5060;ob"
    assert request_uri(Uri.parse("tel:+15551234;phone-context=x")) == "tel:+15551234;phone-context=x"


def test_requests_in_a_dialog_go_to_the_contact_without_its_headers() -> None:
    lines = [
        "INVITE sip:bob@pbx.example SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1",
        "From: <sip:alice@pbx.example>;tag=a",
        "To: <sip:bob@pbx.example>",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        f"Contact: <{CONTACT}>",
        "Content-Length: 0",
    ]
    message = Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())
    dialog = Dialog.as_callee(message, FLOW, "b")
    assert dialog.request("BYE")[0] == "sip:alice@192.0.2.7:5060;ob"
    dialog.refresh_target(message, FLOW)
    assert dialog.ack(1)[0] == "sip:alice@192.0.2.7:5060;ob"
