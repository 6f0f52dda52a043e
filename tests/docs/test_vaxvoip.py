"""Each row of "Coming from VaxVoIP" is carried out: what it names is used and takes effect, and its events are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs import tidings, voice
from tests.docs.moves import MOVES, perform
from tests.docs.stage import DOCS
from tests.docs.witness import Witness, literals

import trunkline
from trunkline import CallFailed, CallSession, PeerType, SipServer, errors
from trunkline.testing import VirtualNetwork

PAGE = (DOCS / "vaxvoip.rst").read_text()
SERVER = SipServer(realm="pbx.example")

assert tidings  # fills in `MOVES`, and so does the next
assert voice

# fmt: off
THERE = (
    "Initialize", "UnInitialize", "OpenNetworkUDP", "OpenNetworkTCP", "OpenNetworkTLS", "SetListenPortRangeRTP",
    "SetNetworkMediaRTP", "AddNetworkRouteSIP", "AddNetworkRouteRTP", "SetUserAgentName", "SetSessionNameSDP",
    "CryptoMediaNONE", "CryptoMediaSDP", "AudioSessionLost", "AddUser", "RemoveUser", "RegisterUserExpiry",
    "AuthRegister", "AcceptRegister", "RejectRegister", "AttachRegister", "AddLine", "RemoveLine", "RegisterLine",
    "UnRegisterLine", "AcceptCallSession", "RejectCallSession", "CloseCallSession", "DialCallSession",
    "CallSessionSendStatusResponse", "CallSessionMuteVoice", "SendReqTransferCallBlind",
    "SendReqTransferCallConsult", "SendDigitDTMF", "DetectDigitDTMF", "SetExtDataREC", "ConnectToServerREC",
    "MuteCallServerREC", "AcceptChatMessage", "RejectChatMessage", "SendChatMessageText", "AttackDetectScanSIP",
    "AttackDetectFloodSIP", "AttackDetectBruteForceSIP", "GetVaxErrorCode", "GetVaxErrorText", "OnRegisterUser",
    "OnRegisterUserSuccess", "OnRegisterUserFailed", "OnUnRegisterUser", "OnLineRegisterTrying",
    "OnLineRegisterSuccess", "OnLineRegisterFailed", "OnLineUnRegisterTrying", "OnLineUnRegisterSuccess",
    "OnLineUnRegisterFailed", "OnCallSessionCreated", "OnIncomingCall", "OnCallSessionConnecting",
    "OnCallSessionConnected", "OnCallSessionFailed", "OnCallSessionTimeout", "OnCallSessionCancelled",
    "OnCallSessionLost", "OnCallSessionHangUp", "OnCallSessionClosed", "OnSendReqTransferCallAccepted",
    "OnSendReqTransferCallFailed", "OnSendReqTransferCallTimeout", "OnChatMessageText", "OnServerConnectingREC",
)
# fmt: on


def rows(table: str) -> list[tuple[str, str]]:
    """The rows of the list-table of that name, without its heading."""
    text = PAGE.split(f":name: {table}\n", 1)[1]
    body = re.split(r"\n\S", text, maxsplit=1)[0]
    cells = re.findall(r"   \* - (.*?)\n     - (.*?)(?=\n   \* - |\Z)", body + "\n", re.DOTALL)
    return [(_flat(there), _flat(here)) for there, here in cells[1:]]


def _flat(text: str) -> str:
    return " ".join(text.split())


ROWS = [row for table in ("methods", "events", "constants") for row in rows(table)]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0][:40]) for row in ROWS])
def test_a_row_names_something(row: tuple[str, str]) -> None:
    assert literals(row[1])


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0][:40]) for row in ROWS])
def test_a_row_does_what_it_says(
    row: tuple[str, str], monkeypatch: pytest.MonkeyPatch, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    there, here = row
    witness = Witness(here, monkeypatch, virtual_network, tmp_path)
    perform(there, witness)
    assert witness.missing() == []


def test_every_row_has_its_scenario_and_every_scenario_its_row() -> None:
    assert [there for there, _ in ROWS] == list(dict.fromkeys(there for there, _ in ROWS))
    assert {there for there, _ in ROWS} == set(MOVES)


def test_a_witness_misses_what_was_not_used(monkeypatch: pytest.MonkeyPatch, virtual_network: VirtualNetwork) -> None:
    row = "``SipServer(realm=, user_agent=)``, ``server.start()``, ``on_call_session_closed``, ``PeerType.USER = 0``, ``CallFailed``"
    witness = Witness(row, monkeypatch, virtual_network, Path())
    trunkline.SipServer(realm="pbx.example")
    assert witness.missing() == literals(row)
    trunkline.SipServer(realm="pbx.example", user_agent="x")
    witness.saw(PeerType.USER)
    witness.saw(CallFailed(486, "Busy Here"))
    assert witness.missing() == ["server.start()", "on_call_session_closed"]


def test_no_row_is_lost_in_parsing() -> None:
    # four tables, each with a heading
    assert len(ROWS) + len(rows("not-yet")) == PAGE.count("   * - ") - 4


def test_every_method_and_event_of_the_product_is_on_the_page() -> None:
    assert [name for name in THERE if not re.search(rf"\b{name}\b", PAGE)] == []


def test_what_is_said_to_be_missing_is_missing() -> None:
    absent = "mute siprec"
    assert [name for name in absent.split() if hasattr(CallSession, name)] == []
    handlers = "on_siprec_connecting on_attack_detected"
    assert [name for name in handlers.split() if hasattr(SERVER, name)] == []
    with pytest.raises(errors.ConfigurationError):
        SipServer(realm="x", listen=["tls://0.0.0.0:5061"])
