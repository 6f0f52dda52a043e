"""What a call of ours says of its caller: From, To, Request-URI and the identity headers, towards lines and phones.

Pure functions of a line's settings and a placing. `routing` calls them for each target; `header_rules` adds the header
fields that are no identity, `forwarded` those that say whom the call was meant for (RFC 3261 §8.1.1, RFC 3323, RFC 3325).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trunkline.calls.peers import Placing
from trunkline.server.forwarded import forwarding
from trunkline.server.header_rules import Pair, over_line_headers, to_phone_headers
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import rewritten
from trunkline.sip.endpoint import NameAddr, Uri

__all__ = ["ANONYMOUS", "Said", "is_anonymous", "over_line", "to_phone"]

ANONYMOUS = NameAddr(Uri("sip", "anonymous", "anonymous.invalid"), "Anonymous")
"""RFC 3323 §4.1.1.3."""

_TELEPHONE = re.compile(r"\+?[0-9*#().-]*[0-9][0-9*#().-]*")
"""RFC 3966 §3, without parameters."""

PRIVATE = ("Privacy", "id")
"""RFC 3325 §9.3: the provider keeps what we assert from everybody whom it does not trust."""


class Said(NamedTuple):
    """What an INVITE over a line says of who calls whom."""

    uri: Uri
    """The Request-URI."""
    local: NameAddr
    """The From, without tag."""
    remote: NameAddr
    """The To."""
    headers: tuple[Pair, ...]
    """Identity, privacy, forwarding, and what header rules and the application add."""
    anonymous: bool
    """Whether the caller stays anonymous."""


def is_anonymous(settings: LineSettings, placing: Placing) -> bool:
    """Whether a call over a line hides its caller: as the call says, or else as the line does."""
    return settings.privacy if placing.privacy is None else placing.privacy


def over_line(settings: LineSettings, placing: Placing, *, from_line: LineSettings | None = None) -> Said:
    """What a call over a line says of its caller.

    Args:
        settings: The line's.
        placing: Whom the application calls, and as whom.
        from_line: Those of the line that the call came in over, if it did.

    Returns:
        The addresses and headers of its INVITE.

    Raises:
        SipParseError: A number or name makes no address.
    """
    anonymous = is_anonymous(settings, placing)
    number = placing.dial_number
    if not placing.emergency:
        number = rewritten(number, settings.dialled_out, settings.country)
    uri = Uri("sip", number, settings.aor_domain, settings.domain_port, _marks(settings, number))
    remote = NameAddr(uri.replace(port=None))
    headers = [
        *_privacy(settings, placing),
        *_identities(settings, placing, anonymous=anonymous),
        *forwarding(settings, placing.origin, remote.uri, anonymous=anonymous),
    ]
    return Said(
        uri=uri,
        local=_from(settings, placing, anonymous=anonymous),
        remote=remote,
        headers=tuple(over_line_headers(settings, placing, headers, from_line=from_line, anonymous=anonymous)),
        anonymous=anonymous,
    )


def to_phone(
    placing: Placing, domain: str, *, from_line: LineSettings | None = None
) -> tuple[NameAddr, tuple[Pair, ...]]:
    """What a call to a user's phone says of its caller: From without tag, and headers.

    A phone is nobody whom RFC 3325 trusts: of an anonymous call it learns that it is one, and nothing else.

    Args:
        placing: Whom the application calls, and as whom.
        domain: Ours.
        from_line: The settings of the line that the call came in over, if it did.
    """
    anonymous = bool(placing.privacy)
    headers = tuple(to_phone_headers(placing, from_line=from_line, anonymous=anonymous))
    if anonymous:
        return ANONYMOUS, (PRIVATE, *headers)
    return NameAddr(Uri("sip", placing.caller_id or "anonymous", domain), placing.caller_name or None), headers


def _from(settings: LineSettings, placing: Placing, *, anonymous: bool) -> NameAddr:
    domain = settings.from_domain or settings.aor_domain
    if anonymous:
        account = Uri("sip", settings.username, domain, None, _marks(settings, settings.username))
        return NameAddr(account) if settings.anonymous_from == "account" else ANONYMOUS
    user = settings.username if settings.from_user == "account" else _caller_number(settings, placing)
    uri = Uri("sip", user, domain, None, _marks(settings, user))
    return NameAddr(uri, placing.caller_name or settings.display_name or None)


def _marks(settings: LineSettings, user: str) -> list[tuple[str, str | None]]:
    """RFC 3261 §19.1.1: `user=phone` says that the user part is a telephone number, which a name must not be called."""
    return [("user", "phone")] if settings.user_phone and _TELEPHONE.fullmatch(user) else []


def _caller_number(settings: LineSettings, placing: Placing) -> str:
    number = placing.caller_id or settings.caller_id
    return rewritten(number, settings.caller_ids_out, settings.country) or settings.username


def _privacy(settings: LineSettings, placing: Placing) -> Iterator[Pair]:
    if is_anonymous(settings, placing):
        yield PRIVATE
    elif placing.privacy is False and settings.privacy:
        # RFC 3323 §4.2: asks that nobody on the way hides the caller by default
        yield "Privacy", "none"


def _identities(settings: LineSettings, placing: Placing, *, anonymous: bool) -> Iterator[Pair]:
    number = _caller_number(settings, placing)
    uri = Uri("sip", number, settings.from_domain or settings.aor_domain, None, _marks(settings, number))
    name = None if anonymous else placing.caller_name or settings.display_name or None
    address = str(NameAddr(uri, name))
    kept = settings.anonymous_identity if anonymous else "all"
    if settings.asserted_identity and kept != "none":
        yield "P-Asserted-Identity", address
    if settings.preferred_identity and kept == "all":
        yield "P-Preferred-Identity", address
    if settings.remote_party_id and kept == "all":
        hidden = "full" if anonymous else "off"
        yield "Remote-Party-ID", f"{address};party=calling;privacy={hidden};screen=yes"
