"""Explains why a line is not registered: a table of causes and of statuses, each with the rule and with what to change.

`line_registration` asks for it when a REGISTER failed for good, `live_check` when one that changes nothing did. What it says
goes into `Line.last_failure`, `LineRegisterFailed`, `LineUnregisterFailed`, the log and what `trunkline check --live` prints.
"""

from __future__ import annotations

from trunkline.explanation import Explanation, Row
from trunkline.server.line_answers import Cause, LineFailure
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Flow, Uri
from trunkline.sip.shown import shown_flow

__all__ = ["account_of", "explain_leaving", "explain_line"]

_OF_CAUSE = {
    Cause.NAME: Row(
        "line {line}: the name {host} leads to no server: {said}",
        "RFC 3263 §4",
        "check server and outbound_proxy of the line, and the name servers of this machine",
    ),
    Cause.SILENCE: Row(
        "line {line}: no answer from the provider's server at {server}",
        "RFC 3261 §17.1.2.2, Timer F",
        "check server, port and transport of the line, and that a firewall lets the answers in",
    ),
    Cause.TRANSPORT: Row(
        "line {line}: {server} cannot be reached: {said}",
        "RFC 3261 §18.4",
        "check port and transport of the line: the provider may take no {transport} there",
    ),
    Cause.CHALLENGE: Row(
        "line {line}: the provider asks for an authentication that is not supported",
        "RFC 7616 §3.7",
        "ask the provider for digest authentication by MD5 or SHA-256",
    ),
    Cause.NO_PASSWORD: Row(
        "line {line}: the provider asks for a password, and the line has none",
        "RFC 3261 §22.2",
        "set password of the line, or have the provider know us by our address",
    ),
}

_REFUSED = Row(
    "line {line}: the provider does not take the user name or password of {account}",
    "RFC 3261 §22.2",
    "check username, auth_username and password of the line",
)
_CIRCLE = Row("line {line}: the request went round in a circle", "RFC 3261 §16.3", "check outbound_proxy of the line")
_NO_SIP = "check that server of the line is the provider's SIP server"
_OF_STATUS = {
    200: Row("line {line}: the provider granted no time", "RFC 3261 §10.2.4", "change expires_s of the line"),
    401: _REFUSED,
    407: _REFUSED,
    400: Row(
        "line {line}: the provider finds our request malformed",
        "RFC 3261 §21.4.1",
        "trace the registration with the option --pcap and compare it with what the provider asks for",
    ),
    402: Row("line {line}: the account {account} has no credit", "RFC 3261 §21.4.3", "top it up at the provider"),
    403: Row(
        "line {line}: the provider refuses the account {account}",
        "RFC 3261 §21.4.4",
        "check username and auth_username of the line, and that the account is active; some providers say the same of a "
        "wrong password",
    ),
    404: Row(
        "line {line}: the provider does not know the account {account}",
        "RFC 3261 §10.3, step 5",
        "check username and domain of the line",
    ),
    405: Row("line {line}: {server} registers nobody", "RFC 3261 §21.4.6", _NO_SIP),
    408: Row("line {line}: something behind the provider did not answer", "RFC 3261 §21.4.9", "ask the provider"),
    410: Row("line {line}: the account {account} is closed", "RFC 3261 §21.4.10", "ask the provider"),
    416: Row("line {line}: the provider takes no sip address", "RFC 3261 §21.4.14", "check domain of the line"),
    420: Row(
        "line {line}: the provider does not know an extension of ours", "RFC 3261 §21.4.15", "set outbound = false"
    ),
    421: Row("line {line}: the provider requires an extension", "RFC 3261 §21.4.16", "set outbound = true"),
    423: Row(
        "line {line}: the provider wants longer registrations than {expires_s} s{minimum}",
        "RFC 3261 §10.3, step 7",
        "raise expires_s of the line",
    ),
    480: Row("line {line}: the provider is not ready", "RFC 3261 §21.4.18", "ask the provider, or wait"),
    482: _CIRCLE,
    483: _CIRCLE,
    500: Row("line {line}: the provider has an error of its own", "RFC 3261 §21.5.1", "ask the provider, or wait"),
    501: Row("line {line}: {server} does not know REGISTER", "RFC 3261 §21.5.2", _NO_SIP),
    503: Row(
        "line {line}: the provider is overloaded or under maintenance", "RFC 3261 §21.5.4", "ask the provider, or wait"
    ),
    504: Row(
        "line {line}: the provider's server got no answer from the next one",
        "RFC 3261 §21.5.5",
        "check domain of the line, or wait",
    ),
    505: Row("line {line}: {server} speaks no SIP/2.0", "RFC 3261 §21.5.6", _NO_SIP),
}
_OF_CLASS = {
    2: Row("line {line}: the provider granted no time", "RFC 3261 §10.2.4", "change expires_s of the line"),
    3: Row("line {line}: the provider is elsewhere", "RFC 3261 §21.3", "set server of the line to where it says"),
    4: Row("line {line}: the provider refuses the registration", "RFC 3261 §21.4", "ask the provider"),
    5: Row("line {line}: the provider has an error of its own", "RFC 3261 §21.5", "ask the provider, or wait"),
    6: Row("line {line}: the provider refuses the registration for good", "RFC 3261 §21.6", "ask the provider"),
}


def explain_line(settings: LineSettings, failure: LineFailure, flow: Flow | None) -> Explanation:
    """Why a REGISTER of a line did not succeed. Nothing in it is secret.

    Args:
        settings: The line's.
        failure: What became of it.
        flow: Where it went; None where no server was found.
    """
    server = shown_flow(flow) if flow is not None else ""
    minimum = failure.min_expires_s
    words = {
        "line": settings.name,
        "account": account_of(settings),
        "host": settings.next_hop[0],
        "server": server,
        "transport": flow.transport.upper() if flow is not None else "",
        "said": failure.said,
        "expires_s": str(settings.expires_s),
        "minimum": f": {minimum} s at least" if minimum else "",
    }
    row = _row(settings, failure)
    sent = f"REGISTER {Uri('sip', None, settings.aor_domain)} to {server}, for {words['account']}" if server else ""
    received = "nothing" if failure.cause is Cause.SILENCE else failure.said
    return row.explanation(words, sent=sent, received=received)


def explain_leaving(settings: LineSettings, failure: LineFailure, flow: Flow | None) -> Explanation:
    """Why a provider was not made to forget a line, and what follows. Nothing in it is secret.

    Args:
        settings: The line's.
        failure: What became of the REGISTER that asked for it (RFC 3261 §10.2.2).
        flow: Where it went; None where no server was found.
    """
    refused = explain_line(settings, failure, flow)
    why = refused.problem.removeprefix(f"line {settings.name}: ")
    return Explanation(
        problem=f"line {settings.name}: the provider did not confirm that it forgot us: {why}",
        sent=f"{refused.sent}, Expires: 0" if refused.sent else "",
        received=refused.received,
        rule="RFC 3261 §10.2.2",
        advice=f"it forgets us by itself after {settings.expires_s} s at most; until then it may send calls, which are refused",
    )


def account_of(settings: LineSettings) -> str:
    """The account's address in words, as `1555@itsp.example`."""
    return f"{settings.username}@{settings.aor_domain}"


def _row(settings: LineSettings, failure: LineFailure) -> Row:
    if failure.status in (401, 407) and settings.password is None:
        return _OF_CAUSE[Cause.NO_PASSWORD]
    if failure.cause in _OF_CAUSE:
        return _OF_CAUSE[failure.cause]
    return _OF_STATUS.get(failure.status) or _OF_CLASS[max(2, min(failure.status // 100, 6))]
