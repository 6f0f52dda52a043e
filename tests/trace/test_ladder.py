from __future__ import annotations

from trunkline.events import LineRegisterFailed
from trunkline.trace.ladder import COLUMN, draw_ladder
from trunkline.trace.recorder import Entry, Happened, TracedMessage

US = ("10.0.0.1", 5060)
ALICE = ("10.0.0.2", 5062)
ITSP = ("10.0.0.3", 5060)


def message(time_s: float, *, sent: bool, other: tuple[str, int], start_line: str) -> TracedMessage:
    return TracedMessage(time_s, sent, "udp", US, other, start_line, "call-1", b"")


def test_an_empty_record_draws_nothing() -> None:
    assert draw_ladder([]) == ""


def test_arrows_point_from_the_sender_to_the_receiver() -> None:
    entries: list[Entry] = [
        message(5.0, sent=False, other=ALICE, start_line="INVITE sip:bob@pbx SIP/2.0"),
        message(5.25, sent=True, other=ITSP, start_line="INVITE sip:bob@itsp SIP/2.0"),
        message(5.5, sent=False, other=ITSP, start_line="SIP/2.0 200 OK (INVITE)"),
        message(5.75, sent=True, other=ALICE, start_line="SIP/2.0 200 OK (INVITE)"),
    ]
    heads, in_, out, back, on = draw_ladder(entries, {ALICE: "alice", ITSP: "provider"}).splitlines()
    assert heads.split() == ["alice", "server", "provider"]
    assert in_[0] == "|"
    assert in_[COLUMN - 1] == ">"
    assert "INVITE" in in_[:COLUMN]
    assert in_.endswith("0.000")
    assert out[COLUMN : COLUMN + 2] == "|-"
    assert out[2 * COLUMN - 1] == ">"
    assert back[COLUMN + 1] == "<"
    assert "200 OK" in back
    assert on[1] == "<"
    assert on.endswith("0.750")


def test_events_stand_between_the_messages() -> None:
    event = LineRegisterFailed("itsp", 403, "Forbidden", 300.0)
    entries: list[Entry] = [
        message(1.0, sent=True, other=ITSP, start_line="REGISTER sip:itsp SIP/2.0"),
        Happened(1.5, event),
    ]
    assert (
        draw_ladder(entries)
        .splitlines()[2]
        .endswith("0.500  * line_register_failed line=itsp status=403 reason=Forbidden retry_in_s=300")
    )


def test_parties_beyond_the_eighth_are_counted_and_left_out() -> None:
    entries: list[Entry] = [
        message(1.0, sent=False, other=("10.0.1.1", 5000 + each), start_line="OPTIONS sip:us SIP/2.0")
        for each in range(10)
    ]
    assert draw_ladder(entries).splitlines()[-1] == "(3 messages of further parties left out)"
