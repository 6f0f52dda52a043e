"""`call.dial`: anybody is called on behalf of a caller, as the caller, and given up with him."""

from __future__ import annotations

import pytest

from tests.features.desk import Run, new_server, nothing_left, phones
from trunkline import AtOnce, Busy, CallEnded, CallSession, ToUser
from trunkline.testing import VirtualNetwork


def test_several_are_called_as_the_caller_and_given_up_with_him(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    raised: list[type[Exception]] = []

    async def main() -> None:
        server = new_server(virtual_network, "alice", "bob", "carol")

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.answer()
            to = AtOnce(ToUser("bob"), ToUser("carol"))
            with pytest.raises(Busy):
                await call.dial(to)
            phone = await call.dial(to, dial_number="desk", timeout_s=5)
            assert (await call.bridge(phone)).ended_by is phone
            try:
                await call.dial(to)
            except CallEnded as error:
                raised.append(type(error))

        async with server, phones(virtual_network, "alice", "bob", "carol") as (alice, bob, carol):
            at_alice = alice.dial("desk")
            await at_alice.wait_answered()
            for phone in (bob, carol):
                (await phone.next_call()).reject(486)
            at_bob, at_carol = await bob.next_call(), await carol.next_call()
            assert at_bob.caller_id == "alice"
            at_carol.answer()
            assert (await at_bob.wait_ended()).how == "cancel"
            at_carol.hangup()
            at_bob = await bob.next_call()
            at_alice.hangup()
            assert (await at_bob.wait_ended()).how == "cancel"
            await nothing_left(virtual_network, server)

    run_virtual(main())
    assert raised == [CallEnded]
