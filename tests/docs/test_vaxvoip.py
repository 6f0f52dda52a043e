"""Each row of "Coming from VaxVoIP": what it names exists, takes these arguments, and has that value."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from tests.docs.stage import DOCS

import trunkline
from trunkline import CallSession, ChatMessage, RegisterRequest, SipServer, errors
from trunkline.server.config import LineOptions, ServerSettings, UserOptions

PAGE = (DOCS / "vaxvoip.rst").read_text()
SERVER = SipServer(realm="pbx.example")

OWNERS: dict[str, type[Any]] = {
    "server": SipServer,
    "call": CallSession,
    "request": RegisterRequest,
    "message": ChatMessage,
}
OPTIONS: dict[str, type[Any]] = {"SipServer": ServerSettings, "add_user": UserOptions, "add_line": LineOptions}

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
def test_what_a_row_names_exists(row: tuple[str, str]) -> None:
    literals = [name for name in re.findall(r"``(.+?)``", row[1]) if not name.startswith("async with")]
    assert literals
    for literal in literals:
        check(literal)


def check(literal: str) -> None:
    constant = re.fullmatch(r"(\w+)\.([A-Z0-9_]+) = (\d+)", literal)
    if constant:
        kind, member, value = constant.groups()
        assert int(getattr(trunkline, kind)[member]) == int(value)
        return
    called = re.fullmatch(r"(?:(\w+)\.)?(\w+)(?:\((.*)\))?", literal)
    assert called, literal
    owner, name, arguments = called.groups()
    if owner is None and name.startswith("on_"):
        assert callable(getattr(SERVER, name))
    elif owner is None:
        assert hasattr(trunkline, name)
        assert_arguments(getattr(trunkline, name), name, arguments)
    else:
        assert_arguments(getattr(OWNERS[owner], name), name, arguments)


def assert_arguments(function: Any, name: str, arguments: str | None) -> None:
    named = re.findall(r"(\w+)=", arguments or "")
    known = set(inspect.signature(function).parameters) if named else set()
    if name in OPTIONS:
        known |= {field.alias or key for key, field in OPTIONS[name].model_fields.items()}
    assert set(named) <= known, f"{name} has no {set(named) - known}"


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
