"""Diversion (RFC 5806) and History-Info (RFC 7044) of a call that came in over a line and goes out over a line.

`identity` calls it. Both headers are written from one list, the parties that the call was meant for, so that a history
that came in the one form goes on in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from trunkline.calls.forwarding import CAUSES, Diverted, diversions
from trunkline.calls.peers import Origin
from trunkline.constants import PeerType
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import rewritten
from trunkline.sip.endpoint import NameAddr, Uri

__all__ = ["forwarding"]

MAX_DIVERSIONS = 10
"""Parties that are told of; the oldest are left out."""

REASONS = {
    0: "unconditional",
    300: "deflection",
    301: "unconditional",
    302: "unconditional",
    305: "unconditional",
    380: "deflection",
    408: "no-answer",
    480: "unavailable",
    486: "user-busy",
    600: "user-busy",
}
"""Why a call goes elsewhere, by the status of the placing before; any other failure is `unavailable`. A phone that sends all its calls
on answers 301 or 302 (RFC 5806 §4: `unconditional`); 300 and 380 leave the choice of another way to somebody (`deflection`)."""


def forwarding(
    settings: LineSettings, origin: Origin | None, target: Uri, *, anonymous: bool
) -> Iterator[tuple[str, str]]:
    """The headers that tell a line's provider of the forwarding; none for a call that no line brought.

    Args:
        settings: The line's that it goes out over.
        origin: The call that came in.
        target: Whom it goes to now.
        anonymous: Whether the caller stays so: then the history is private too.
    """
    write = _WRITERS.get(settings.forwarding_header)
    if write is None or origin is None or origin.peer_type is not PeerType.LINE:
        return
    own = Diverted(origin.dialled, REASONS.get(origin.failed_status, "unavailable"))
    history = [own, *diversions(origin.message)][:MAX_DIVERSIONS]
    told = [
        replace(
            each,
            number=rewritten(each.number, settings.caller_ids_out, settings.country),
            private=each.private or anonymous,
        )
        for each in history
    ]
    yield from write(settings, told, target)


def _diversion(settings: LineSettings, history: Sequence[Diverted], target: Uri) -> Iterator[tuple[str, str]]:
    """RFC 5806 §4: the latest first."""
    for each in history:
        address = NameAddr(Uri("sip", each.number, settings.from_domain or settings.aor_domain), each.name or None)
        hidden = "full" if each.private else "off"
        yield "Diversion", f"{address};reason={each.reason};counter=1;privacy={hidden}"


def _history_info(settings: LineSettings, history: Sequence[Diverted], target: Uri) -> Iterator[tuple[str, str]]:
    """RFC 7044 §10.3: from the first to the present target, each the child of the one before."""
    index, cause = "1", ""
    for each in reversed(history):
        hidden = [("Privacy", "history")] if each.private else []  # RFC 7044 §10.1
        uri = Uri("sip", each.number, settings.from_domain or settings.aor_domain, None, _cause(cause), hidden)
        yield "History-Info", _entry(uri, index, each.name)
        index, cause = f"{index}.1", each.reason
    yield "History-Info", _entry(target.replace(params=[*target.params, *_cause(cause)]), index)


def _cause(reason: str) -> list[tuple[str, str | None]]:
    """RFC 4458 §2: why the request came to this target."""
    return [("cause", str(CAUSES[reason]))] if reason in CAUSES else []


def _entry(uri: Uri, index: str, name: str = "") -> str:
    params: list[tuple[str, str | None]] = [("index", index)]
    if "." in index:
        # RFC 7044 §5: it stands for another user than the entry that it came from
        params.append(("mp", index.rpartition(".")[0]))
    return str(NameAddr(uri, name or None, params))


_Writer = Callable[[LineSettings, Sequence[Diverted], Uri], Iterator[tuple[str, str]]]

_WRITERS: dict[str, _Writer] = {"diversion": _diversion, "history-info": _history_info}
