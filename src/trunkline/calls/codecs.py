"""Which codecs two parties have in common, so that relaying needs no transcoding.

Codecs are the same when name, clock rate and channels are: format parameters may differ between two sides that
understand each other. Used by attempts (what is offered), channels (what is answered) and alignment (what has to be
offered anew).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from trunkline.media.engine import can_transcode
from trunkline.sip.description import events_beside, is_companion
from trunkline.sip.endpoint import Codec, Direction, MediaPlan, RemoteOffer

__all__ = [
    "answerable",
    "carried",
    "codec_keys",
    "common",
    "fallback",
    "offerable",
    "passed_direction",
    "relays",
    "reverse",
    "same_codecs",
    "same_voices",
    "shared",
    "speaks",
    "theirs",
    "transcodable",
    "with_events",
    "with_events_of",
]

Key = tuple[str, int, int]


@lru_cache(1_024)
def _key(codec: Codec) -> Key:
    return (codec.name.lower(), codec.clock_rate, codec.channels)


def codec_keys(codecs: Iterable[Codec]) -> frozenset[Key]:
    """What codecs are compared by."""
    return frozenset(map(_key, codecs))


def _is_event(codec: Codec) -> bool:
    return _key(codec)[0] == "telephone-event"


def speaks(codecs: Iterable[Codec]) -> bool:
    """Whether there is a codec for voice among them."""
    return not all(is_companion(codec) for codec in codecs)


def common(offered: Sequence[Codec], usable: Sequence[Codec]) -> list[Codec]:
    """The offered codecs that the other party may use, in the order of the offer, without payload types.

    telephone-event passes whether the other party's list names it or not. Empty when no codec for voice is left.
    """
    return list(_common(tuple(offered), tuple(usable)))


@lru_cache(1_024)
def _common(offered: tuple[Codec, ...], usable: tuple[Codec, ...]) -> tuple[Codec, ...]:
    known = codec_keys(usable)
    return _chosen(codec for codec in offered if _is_event(codec) or _key(codec) in known)


def _chosen(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """The codecs without payload types; none where none is for voice."""
    chosen = tuple(Codec(codec.name, codec.clock_rate, codec.channels, None, codec.fmtp) for codec in codecs)
    return chosen if speaks(chosen) else ()


def with_events(codecs: Sequence[Codec]) -> list[Codec]:
    """The codecs, and telephone-event of their clocks where they do not name it."""
    return [*codecs] if any(map(_is_event, codecs)) else [*codecs, *events_beside(codecs)]


def with_events_of(stands: Sequence[Codec], codecs: Sequence[Codec]) -> list[Codec]:
    """The codecs, and what telephone-event a side has agreed to before: its digits are told the other one in its way."""
    known = codec_keys(codecs)
    return [*codecs, *(codec for codec in stands if _is_event(codec) and _key(codec) not in known)]


def shared(offered: Sequence[Codec], agreed: Sequence[Codec]) -> list[Codec]:
    """The offered codecs that the other side has agreed to, telephone-event no more than others; empty without voice."""
    return list(_shared(tuple(offered), tuple(agreed)))


@lru_cache(1_024)
def _shared(offered: tuple[Codec, ...], agreed: tuple[Codec, ...]) -> tuple[Codec, ...]:
    known = codec_keys(agreed)
    return _chosen(codec for codec in offered if _key(codec) in known)


def transcodable(codecs: Iterable[Codec]) -> list[Codec]:
    """Those that we can speak ourselves, and what accompanies them; empty without voice."""
    chosen = [codec for codec in codecs if is_companion(codec) or can_transcode(codec)]
    return chosen if speaks(chosen) else []


def answerable(offered: Sequence[Codec], agreed: Sequence[Codec], usable: Sequence[Codec]) -> list[Codec]:
    """What an offer is answered with, for a side that is to talk to one that agreed to these codecs.

    What can be relayed; where there is nothing, what we can transcode between, of what this side may use.
    """
    relayed = shared(offered, agreed)
    return relayed if relayed or not transcodable(agreed) else transcodable(common(offered, usable))


def carried(wanted: Sequence[Codec], agreed: Sequence[Codec]) -> list[Codec]:
    """What a side that agreed to some codecs goes on with for one that wants others: the common ones, or its own if transcoded."""
    relayed = shared(wanted, agreed)
    return relayed if relayed or not (transcodable(wanted) and transcodable(agreed)) else shared(agreed, agreed)


def offerable(agreed: Sequence[Codec], usable: Sequence[Codec], allowed: Sequence[Codec]) -> list[Codec]:
    """What a side is offered: what can be relayed first, then what it may use and we can transcode.

    Args:
        agreed: What the other side has agreed to; nothing before its answer.
        usable: All that it may use.
        allowed: All that this side may use.
    """
    relayed = common(agreed, allowed) or common(usable, allowed)
    here, there = agreed or usable, with_events(allowed)
    known = codec_keys(relayed)
    more = [codec for codec in transcodable(there) if not codec_keys([codec]) <= known] if transcodable(here) else []
    if not speaks(relayed):
        return [*more] if speaks(more) else []
    voice = [codec for codec in relayed if not is_companion(codec)]
    # comfort noise only where it can be relayed as well: the other side may not know it
    companions = [codec for codec in relayed if is_companion(codec)]
    if any(map(_is_event, companions)):
        # of whatever clock theirs are, digits cross
        companions += [codec for codec in more if _is_event(codec)]
    return [*voice, *(codec for codec in more if not is_companion(codec)), *companions]


def relays(here: Sequence[Codec], there: Sequence[Codec]) -> bool:
    """Whether two sides hear each other as things stand: they prefer the same codec, and what else they may send we can transcode."""
    voices = [[codec for codec in side if not is_companion(codec)] for side in (here, there)]
    if not all(voices) or _key(voices[0][0]) != _key(voices[1][0]):
        return False
    known = codec_keys(here) & codec_keys(there)
    sent = [codec for side in (here, there) for codec in side if not _is_event(codec)]
    return all(_key(codec) in known or can_transcode(codec) for codec in sent)


_EVERYWHERE = frozenset({("pcmu", 8000, 1), ("pcma", 8000, 1)})
"""What every phone and gateway knows (RFC 3551 §6)."""


def fallback(offered: Sequence[Codec], theirs: Sequence[Codec]) -> list[Codec]:
    """What to offer after a 488: what they say that they can, else G.711 alone. Empty where that is nothing new."""
    known = codec_keys(theirs) or _EVERYWHERE
    chosen = [codec for codec in offered if _key(codec) in known or (not theirs and _is_event(codec))]
    return chosen if speaks(chosen) and len(chosen) < len(offered) else []


def same_codecs(left: Iterable[Codec], right: Iterable[Codec]) -> bool:
    """Whether two sides agreed on the same codecs, whatever their order and payload types."""
    return _same_codecs(tuple(left), tuple(right))


def same_voices(left: Iterable[Codec], right: Iterable[Codec]) -> bool:
    """The same of their codecs for voice: digits cross in whatever way each side has."""
    voices = [tuple(codec for codec in side if not _is_event(codec)) for side in (left, right)]
    return _same_codecs(*voices)


@lru_cache(1_024)
def _same_codecs(left: tuple[Codec, ...], right: tuple[Codec, ...]) -> bool:
    return codec_keys(left) == codec_keys(right)


_REVERSED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}

_MUTED: dict[Direction, Direction] = {
    "sendrecv": "sendonly",
    "sendonly": "sendonly",
    "recvonly": "inactive",
    "inactive": "inactive",
}
"""What a description means whose address is 0.0.0.0: do not send to me (RFC 3264 §8.4, the old way to hold)."""


def reverse(direction: Direction) -> Direction:
    """The same direction, seen from the other end."""
    return _REVERSED[direction]


def passed_direction(offer: RemoteOffer) -> Direction:
    """The direction in which the other side is offered what this side offers."""
    return _MUTED[offer.direction] if offer.remote_rtp is None else offer.direction


def theirs(plan: MediaPlan) -> Direction:
    """What the peer of a plan does: the plan is seen from us."""
    return _REVERSED[plan.direction]
