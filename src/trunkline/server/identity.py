"""What a call over a line says of its caller: From, To, Request-URI and the identity headers.

One pure function of a line's settings and a placing. `routing` calls it for each target that is a line's server.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.calls.peers import Placing
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import NameAddr, Uri

__all__ = ["ANONYMOUS", "Said", "over_line"]

ANONYMOUS = NameAddr(Uri("sip", "anonymous", "anonymous.invalid"), "Anonymous")
"""RFC 3323 §4.1.1.3."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an INVITE over a line says of who calls whom."""

    uri: Uri
    """The Request-URI."""
    local: NameAddr
    """The From, without tag."""
    remote: NameAddr
    """The To."""
    headers: tuple[tuple[str, str], ...]
    """Identity and privacy."""


def over_line(settings: LineSettings, placing: Placing) -> Said:
    """What a call over a line says of its caller.

    Args:
        settings: The line's.
        placing: Whom the application calls, and as whom.

    Returns:
        The addresses and headers of its INVITE.

    Raises:
        SipParseError: A number or name makes no address.
    """
    params: list[tuple[str, str | None]] = [("user", "phone")] if settings.user_phone else []
    uri = Uri("sip", placing.dial_number, settings.aor_domain, settings.domain_port, params)
    return Said(
        uri=uri,
        local=_from(placing, settings),
        remote=NameAddr(uri.replace(port=None)),
        headers=tuple(_identity(placing, settings)),
    )


def _from(placing: Placing, settings: LineSettings) -> NameAddr:
    if settings.privacy:
        return ANONYMOUS
    user = settings.username if settings.from_user == "account" else placing.caller_id or settings.username
    name = placing.caller_name or settings.display_name
    return NameAddr(Uri("sip", user, settings.from_domain or settings.aor_domain), name or None)


def _identity(placing: Placing, settings: LineSettings) -> list[tuple[str, str]]:
    headers = [("Privacy", "id")] if settings.privacy else []
    if settings.asserted_identity:
        number = placing.caller_id or settings.username
        asserted = NameAddr(Uri("sip", number, settings.from_domain or settings.aor_domain))
        headers.append(("P-Asserted-Identity", str(asserted)))
    return headers
