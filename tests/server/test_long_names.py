"""What a peer wrote in few bytes may be too long once it is escaped: the call fails in words, without a traceback in the log."""

from __future__ import annotations

from tests.server.test_routing import Routed, routed
from trunkline.calls.peers import Placing
from trunkline.constants import PeerType

LONG = "\ufffd" * 2_300
"""A user part of 2,300 bytes that are no UTF-8, as it is read; 20,700 bytes when it is written."""


def test_a_caller_whose_number_outgrows_a_uri_is_refused_in_words() -> None:
    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@192.0.2.7:5060>")
        status, words = await h.refused(h.to_user(caller_id=LONG))
        assert (status, "too long" in words) == (400, True)

    routed(scenario)


def test_a_number_that_outgrows_a_uri_is_refused_in_words() -> None:
    async def scenario(h: Routed) -> None:
        h.dns["sip.itsp.example"] = ["198.51.100.5"]
        h.add()
        await h.grant()
        status, _ = await h.refused(h.targets(Placing(PeerType.LINE, "itsp", LONG, "", "alice")))
        assert status == 400

    routed(scenario)
