"""A server that is killed with -9 in the middle of calls and started again: real processes, real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.served import ACCOUNT, MOBILE, Served
from trunkline.storage.call_history import CallQuery, open_history, read_calls
from trunkline.testing import Itsp, Phone, ScriptedCall

ACKNOWLEDGED_BEFORE_S = 1.1
"""What was acknowledged longer than a second before the kill survives it."""
PATIENCE_S = 20.0


async def talk(phone: Phone, itsp: Itsp) -> tuple[ScriptedCall, ScriptedCall]:
    """A call from a phone through the line, up."""
    near = phone.dial(MOBILE)
    far = await itsp.next_call()
    far.answer()
    await near.wait_answered()
    return near, far


@pytest.mark.timeout(60)
def test_calls_of_a_killed_server_are_ended_on_both_sides_and_registrations_are_there(tmp_path: Path) -> None:
    async def main() -> None:
        itsp = Itsp({ACCOUNT: "line secret"})
        async with itsp:
            itsp.challenge_inside.add("BYE")
            served = Served(tmp_path, itsp.port)
            await served.start()
            try:
                account = await itsp.wait_registered(ACCOUNT)
                at = ("127.0.0.1", served.port)
                async with (
                    Phone("alice", "secret of alice", at, realm="pbx.example") as alice,
                    Phone("bob", "secret of bob", at, realm="pbx.example", transport="tcp") as bob,
                ):
                    await alice.register()
                    await bob.register()
                    calls = [*await talk(alice, itsp), *await talk(bob, itsp)]
                    await asyncio.sleep(ACKNOWLEDGED_BEFORE_S)
                    assert served.journalled == 4
                    before, sent = account.registrations, alice._register_cseq
                    await served.kill()
                    assert [call.ended for call in calls] == [None] * 4

                    await served.start()
                    for call in calls:
                        ended = await call.wait_ended(PATIENCE_S)
                        assert (ended.how, ended.by_us) == ("bye", False)
                        assert ended.message is not None
                        assert "Server restarted" in (ended.message.header("Reason") or "")
                    async with asyncio.timeout(PATIENCE_S):
                        while account.registrations == before or served.journalled:
                            await asyncio.sleep(0.05)
                    # alice has said nothing since, and is found
                    incoming = itsp.dial(ACCOUNT, caller_id=MOBILE)
                    ringing = await alice.next_call(PATIENCE_S)
                    ringing.answer()
                    await incoming.wait_answered()
                    assert alice._register_cseq == sent
                    ringing.hangup()
                    await incoming.wait_ended()
            finally:
                await served.kill()
            with open_history(served.storage) as connection:
                left = read_calls(connection, CallQuery(closed_reason="session_lost"))
            assert [record.from_name for record in left] == ["alice", "bob"]
            for record in left:
                assert record.answered_at is not None
                assert record.created_at <= record.answered_at < record.closed_at
                assert record.explanation["problem"] == "the server was killed while the call was up"
            assert "Traceback" not in "".join(served.log)
            assert "secret" not in "".join(served.log)

    asyncio.run(main())
