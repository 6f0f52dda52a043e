"""A flow and an answer in words, as events, records, explanations and logs name them."""

from __future__ import annotations

from trunkline.sip.endpoint import Flow, Message

__all__ = ["short", "shown_answer", "shown_flow"]

MAX_WORDS = 160
"""Characters of a peer's own words that are repeated."""


def shown_flow(flow: Flow) -> str:
    """Transport, address and port of the far end, as `udp:192.0.2.9:5060`."""
    host, port = flow.remote
    return f"{flow.transport}:[{host}]:{port}" if ":" in host else f"{flow.transport}:{host}:{port}"


def shown_answer(message: Message) -> str:
    """A response's status and phrase, and what its header says of the reason."""
    said = [f"{message.status} {message.reason}"]
    for name in ("Warning", "Reason", "Retry-After"):
        said += [f"{name}: {value}" for value in message.lines(name)[:2]]
    return "; ".join(short(words) for words in said)


def short(words: str) -> str:
    """A peer's own words, cut and without what cannot be printed."""
    return "".join(each if each.isprintable() else "?" for each in words[:MAX_WORDS])
