"""What an INVITE says of its caller and of whom it is for, as far as its sender is believed.

`identify` calls it once it knows the sender. A line is believed what its settings name (RFC 3325 §8); a user is believed
nothing but his choice among the numbers that he may show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trunkline.calls.forwarding import addresses
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import rewritten
from trunkline.server.users import User
from trunkline.sip.endpoint import Message, NameAddr, SipParseError, Uri

__all__ = [
    "Caller",
    "called_numbers",
    "caller_of_line",
    "caller_of_user",
    "dialled",
    "dialled_over",
    "request_uri",
    "same_number",
]

HIDING = frozenset({"id", "user", "header"})
"""Privacy values that keep the caller's identity from the callee (RFC 3323 §4.2, RFC 3325 §9.3)."""

CLAIMS = ("P-Preferred-Identity", "P-Asserted-Identity", "Remote-Party-ID")
"""Where a phone may say which of its user's numbers it wants to show, before From (RFC 3325 §9.2)."""


class Caller(NamedTuple):
    """Who calls."""

    name: str
    """The display name that may be shown."""
    number: str
    """The number or name that may be shown."""
    anonymous: bool = False
    """Whether the caller wants to stay so."""
    asserted: str = ""
    """The number that the provider vouches for, shown or not; "" where it does not."""


# --- callers ------------------------------------------------------------------------------------------------------------


def caller_of_line(settings: LineSettings, message: Message) -> Caller:
    """Who calls over a line: what its provider says, in the order of `caller_id_from`."""

    def number(address: NameAddr | None) -> str:
        found = (_user(address.uri) if address is not None else "") or ""
        return rewritten(found, settings.caller_ids_in, settings.country)

    from_, remote = message.from_, _remote_party(message)
    said = {"p-asserted-identity": _asserted(message), "remote-party-id": remote, "from": from_}
    asserted = number(said["p-asserted-identity"]) if "p-asserted-identity" in settings.caller_id_from else ""
    if _hides(message, from_, remote):
        return Caller("", "", anonymous=True, asserted=asserted)
    for source in settings.caller_id_from:
        address = said[source]
        if address is not None and _user(address.uri):
            return Caller(address.display_name or from_.display_name or "", number(address), asserted=asserted)
    return Caller(from_.display_name or "", number(from_), asserted=asserted)


def caller_of_user(user: User, message: Message) -> Caller:
    """Who calls from a user's phone: one of the numbers that the user may show, or else the user's name.

    The display name is the configured one; only a user who has none is believed what his phone writes.
    """
    claims = [claim for header in CLAIMS for claim in addresses(message, header)] + [message.from_]
    permitted = (own for claim in claims for own in user.numbers if same_number(own, _user(claim.uri)))
    from_ = message.from_
    shown = "" if _is_anonymous(from_) else from_.display_name
    return Caller(user.display_name or shown or "", next(permitted, user.name), anonymous=_hidden(message))


def _hidden(message: Message) -> bool:
    """Whether the caller is to stay unknown to the callee."""
    return _hides(message, message.from_, _remote_party(message))


def _hides(message: Message, from_: NameAddr, rpid: NameAddr | None) -> bool:
    if HIDING.intersection(message.privacy):
        return True
    return _is_anonymous(from_) or (rpid is not None and (rpid.param("privacy") or "off").lower() != "off")


def _is_anonymous(address: NameAddr) -> bool:
    """RFC 3323 §4.1.1.3; the user alone is what many gateways write."""
    return address.uri.host == "anonymous.invalid" or (address.uri.user or "").lower() == "anonymous"


def _asserted(message: Message) -> NameAddr | None:
    """RFC 3325 §9.1: a SIP and a tel URI at most."""
    return next((each for each in addresses(message, "P-Asserted-Identity") if _user(each.uri)), None)


def _remote_party(message: Message) -> NameAddr | None:
    """The Remote-Party-ID of the caller; one of another party is not about him."""
    values = addresses(message, "Remote-Party-ID")
    return next((each for each in values if (each.param("party") or "calling").lower() == "calling"), None)


# --- called numbers -----------------------------------------------------------------------------------------------------


def request_uri(message: Message) -> Uri | None:
    """The Request-URI; None where it is malformed."""
    try:
        return message.uri
    except SipParseError:
        return None


def dialled(message: Message) -> str:
    """The user part of the Request-URI; of To where that has none."""
    return _of_request_uri(message) or _user(message.to.uri)


def dialled_over(settings: LineSettings, token: str, message: Message) -> str:
    """The number that was dialled to reach a line.

    What the line's own Contact says, its token or account, is no number that somebody dialled: the next place counts.

    Args:
        settings: The line's.
        token: What its Contact carries.
        message: The INVITE.
    """
    places = _PLACES[settings.dialled_from]
    for place in places:
        number = place(message)
        if number not in ("", token, settings.username):
            return rewritten(number, settings.dialled_in, settings.country)
    return settings.username


def called_numbers(settings: LineSettings, message: Message) -> tuple[str, ...]:
    """All that may be the number of a line whose call this is: as it came, and after the line's rules."""
    places = (*_PLACES[settings.dialled_from], *_PLACES["auto"])
    found = [number for place in places if (number := place(message))]
    return (*found, *(rewritten(number, settings.dialled_in, settings.country) for number in found))


def _of_request_uri(message: Message) -> str:
    uri = request_uri(message)
    return _user(uri) if uri is not None else ""


def _of_to(message: Message) -> str:
    return _user(message.to.uri)


def _of_called_party(message: Message) -> str:
    """RFC 7315 §4.2."""
    return next((_user(each.uri) for each in addresses(message, "P-Called-Party-ID")), "")


_PLACES: dict[str, tuple[Callable[[Message], str], ...]] = {
    "auto": (_of_request_uri, _of_to),
    "request-uri": (_of_request_uri,),
    "to": (_of_to,),
    "p-called-party-id": (_of_called_party, _of_request_uri, _of_to),
}


# --- numbers ------------------------------------------------------------------------------------------------------------


def _user(uri: Uri) -> str:
    """The number or name in a URI; parameters of a tel URI's number stand apart from it (RFC 3966 §3)."""
    return (uri.user or "").partition(";")[0]


def same_number(one: str, other: str) -> bool:
    """Whether two user parts are one number: visual separators and a leading + aside (RFC 3966 §5.1.4)."""
    return _bare(one) == _bare(other)


def _bare(number: str) -> str:
    return "".join(letter for letter in number.lower() if letter not in " -.()").removeprefix("+")
