"""The link of two channels: a table of (what happened on one, how far the other is) → what to do to the other.

A session's ZERO and ONE are tied by `SESSION`, the channels of two sessions by `BRIDGE`. Channels tell the link what
happened to them and do what the link asks; neither knows the other. This is the only place where one leg has an
effect on another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from trunkline.sip.endpoint import Headers, MediaPlan, RemoteOffer
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.request import Failure

__all__ = ["BRIDGE", "SESSION", "Act", "End", "Happening", "Link", "LinkOwner", "News", "Stage", "Table", "perform"]


class Happening(IntEnum):
    """What a channel tells."""

    RANG = auto()
    """A provisional without description."""
    PROGRESSED = auto()
    """A provisional with an early answer."""
    TURNED = auto()
    """What was heard early is over: that target failed, and the next is tried."""
    ANSWERED = auto()
    """A 2xx; its media is agreed."""
    CANCELLED = auto()
    """The caller gave up."""
    FAILED = auto()
    """No attempt is left and nothing else was decided; or the application refuses."""
    HUNG_UP = auto()
    """BYE."""
    LOST = auto()
    """Silence, or a dead dialog."""
    CLOSED = auto()
    """Our side ends it."""
    REOFFERED = auto()
    """A re-INVITE or UPDATE that changes more than an address."""
    AGREED = auto()
    """The side has agreed to something else since, and the other is to follow."""


class Stage(IntEnum):
    """How far a channel is."""

    RINGING = auto()
    """It arrived and waits for our answer."""
    EARLY = auto()
    """As RINGING, and it has an early answer of ours."""
    PLACING = auto()
    """We call it."""
    UP = auto()
    """Answered: one confirmed dialog, one media leg."""
    OVER = auto()
    """Ended, whoever ended it."""


class Act(IntEnum):
    """What a link does to a channel."""

    RING = auto()
    PREVIEW = auto()
    JOIN = auto()
    HUSH = auto()
    ANSWER = auto()
    ALIGN = auto()
    GIVE_UP = auto()
    REFUSE = auto()
    HANG_UP = auto()
    RELEASE = auto()
    RELAY_OFFER = auto()
    FOLLOW = auto()


class News(NamedTuple):
    """What goes with a happening."""

    status: int = 480
    """Of a provisional, or what a caller who waits is refused with."""
    reason: str | None = None
    """The application's own words for that status."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that cross: Reason, Warning."""
    plan: MediaPlan | None = None
    """What the side that it happened on has agreed."""
    reoffer: Reoffer | None = None
    offer: RemoteOffer | None = None


class End(Protocol):
    """A channel as its link sees it."""

    @property
    def stage(self) -> Stage:
        """How far it is."""

    def ring(self, news: News) -> None:
        """Tell the caller that the other side rings."""

    def preview(self, source: Self, news: News) -> None:
        """Give the caller an early answer and let him hear the other side."""

    def join(self, source: Self) -> None:
        """Relay between the two legs."""

    def hush(self) -> None:
        """Relay no longer, and send silence."""

    def answer(self, source: Self, news: News) -> None:
        """Answer the caller with what the other side agreed, and relay."""

    def align(self, source: Self) -> None:
        """Bring both sides to the same codecs, and relay."""

    def give_up(self, headers: Headers) -> None:
        """CANCEL what is being placed."""

    def refuse(self, news: News) -> None:
        """Answer the caller with a failure."""

    def hang_up(self, headers: Headers) -> None:
        """BYE."""

    def release(self, happening: Happening) -> None:
        """The other side of the bridge is gone; this side stays."""

    def relay_offer(self, source: Self, news: News) -> None:
        """Offer what the other side offers, and give the answer back to it."""

    def follow(self, source: Self) -> None:
        """Offer this side what the other one has agreed to."""


_PERFORM: dict[Act, Callable[[End, End, Happening, News], None]] = {
    Act.RING: lambda end, source, happening, news: end.ring(news),
    Act.PREVIEW: lambda end, source, happening, news: end.preview(source, news),
    Act.JOIN: lambda end, source, happening, news: end.join(source),
    Act.HUSH: lambda end, source, happening, news: end.hush(),
    Act.ANSWER: lambda end, source, happening, news: end.answer(source, news),
    Act.ALIGN: lambda end, source, happening, news: end.align(source),
    Act.GIVE_UP: lambda end, source, happening, news: end.give_up(news.headers),
    Act.REFUSE: lambda end, source, happening, news: end.refuse(news),
    Act.HANG_UP: lambda end, source, happening, news: end.hang_up(news.headers),
    Act.RELEASE: lambda end, source, happening, news: end.release(happening),
    Act.FOLLOW: lambda end, source, happening, news: end.follow(source),
    Act.RELAY_OFFER: lambda end, source, happening, news: end.relay_offer(source, news),
}

Table = Mapping[tuple[Happening, Stage], Act]
"""What happened on one side, and in which state the other is → what to do to the other. No row: nothing."""

_ENDINGS = (Happening.CANCELLED, Happening.FAILED, Happening.HUNG_UP, Happening.LOST, Happening.CLOSED)

_ENDING: dict[Stage, Act] = {
    Stage.RINGING: Act.REFUSE,
    Stage.EARLY: Act.REFUSE,
    Stage.PLACING: Act.GIVE_UP,
    Stage.UP: Act.HANG_UP,
}

SESSION: Table = {
    (Happening.RANG, Stage.RINGING): Act.RING,
    (Happening.RANG, Stage.EARLY): Act.RING,
    (Happening.PROGRESSED, Stage.RINGING): Act.PREVIEW,
    (Happening.PROGRESSED, Stage.EARLY): Act.JOIN,
    (Happening.PROGRESSED, Stage.UP): Act.JOIN,
    (Happening.TURNED, Stage.EARLY): Act.HUSH,
    (Happening.TURNED, Stage.UP): Act.HUSH,
    (Happening.ANSWERED, Stage.RINGING): Act.ANSWER,
    (Happening.ANSWERED, Stage.EARLY): Act.ANSWER,
    (Happening.ANSWERED, Stage.UP): Act.ALIGN,
    (Happening.REOFFERED, Stage.UP): Act.RELAY_OFFER,
    (Happening.AGREED, Stage.UP): Act.FOLLOW,
    **{(happening, stage): act for happening in _ENDINGS for stage, act in _ENDING.items()},
}
"""A session's two channels: what ends one ends the other."""

BRIDGE: Table = {
    (Happening.ANSWERED, Stage.UP): Act.ALIGN,
    (Happening.REOFFERED, Stage.UP): Act.RELAY_OFFER,
    (Happening.AGREED, Stage.UP): Act.FOLLOW,
    **{(happening, Stage.UP): Act.RELEASE for happening in _ENDINGS},
}
"""The answered channels of two sessions: what ends one lets the other go."""


Side = TypeVar("Side", bound=End)


def perform(table: Table, end: Side, source: Side, happening: Happening, news: News) -> bool:
    """Do to `end` what the table says; whether it says anything."""
    act = table.get((happening, end.stage))
    if act is None:
        return False
    _PERFORM[act](end, source, happening, news)
    return True


class LinkOwner(Protocol):
    """Whoever tied the two: a session, a bridge."""

    def on_linked(self) -> None:
        """Both sides are answered, agree on their codecs, and hear each other."""

    def on_link_failed(self, failure: Failure) -> None:
        """They cannot be brought to common codecs."""


class Link(Generic[Side]):
    """Two channels that hear of each other.

    Args:
        table: What follows from what.
        left: One channel.
        right: The other.
        owner: Hears when both can talk.
    """

    def __init__(self, table: Table, left: Side, right: Side, owner: LinkOwner) -> None:
        self._table = table
        self._ends = (left, right)
        self.owner = owner

    def other(self, end: Side) -> Side:
        """The opposite channel."""
        left, right = self._ends
        return right if end is left else left

    def tell(self, source: Side, happening: Happening, news: News | None = None) -> bool:
        """What happened on `source` takes its effect on the other; whether it has one."""
        return perform(self._table, self.other(source), source, happening, news or News())
