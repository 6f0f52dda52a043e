"""The link table by itself: what one side does, the other is told, by stage and never by name."""

from __future__ import annotations

from typing import Self

import pytest

from trunkline.calls.link import BRIDGE, SESSION, Act, Happening, Link, News, Stage, perform
from trunkline.sip.endpoint import Headers
from trunkline.sip.request import Failure


class FakeEnd:
    """Notes what it is told."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.told: list[str] = []

    def ring(self, news: News) -> None:
        self.told.append(f"ring {news.status}")

    def preview(self, source: Self, news: News) -> None:
        self.told.append("preview")

    def join(self, source: Self) -> None:
        self.told.append("join")

    def hush(self) -> None:
        self.told.append("hush")

    def answer(self, source: Self, news: News) -> None:
        self.told.append("answer")

    def align(self, source: Self) -> None:
        self.told.append("align")

    def give_up(self, headers: Headers) -> None:
        self.told.append("give up")

    def refuse(self, news: News) -> None:
        self.told.append(f"refuse {news.status}")

    def hang_up(self, headers: Headers) -> None:
        self.told.append(f"hang up {len(headers)}")

    def release(self, happening: Happening) -> None:
        self.told.append(f"release {happening.name}")

    def relay_offer(self, source: Self, news: News) -> None:
        self.told.append("relay offer")

    def follow(self, source: Self) -> None:
        self.told.append("follow")


class Owner:
    def on_linked(self) -> None: ...
    def on_link_failed(self, failure: Failure) -> None: ...


ENDINGS = [Happening.CANCELLED, Happening.FAILED, Happening.HUNG_UP, Happening.LOST, Happening.CLOSED]


@pytest.mark.parametrize("happening", ENDINGS)
@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (Stage.RINGING, ["refuse 480"]),
        (Stage.EARLY, ["refuse 480"]),
        (Stage.PLACING, ["give up"]),
        (Stage.UP, ["hang up 0"]),
        (Stage.OVER, []),
    ],
)
def test_what_ends_one_side_of_a_session_ends_the_other(happening: Happening, stage: Stage, told: list[str]) -> None:
    source, other = FakeEnd(Stage.OVER), FakeEnd(stage)
    Link(SESSION, source, other, Owner()).tell(source, happening)
    assert other.told == told
    assert source.told == []


@pytest.mark.parametrize("happening", ENDINGS)
def test_what_ends_one_side_of_a_bridge_releases_the_other(happening: Happening) -> None:
    source, other = FakeEnd(Stage.OVER), FakeEnd(Stage.UP)
    assert Link(BRIDGE, source, other, Owner()).tell(source, happening)
    assert other.told == [f"release {happening.name}"]


@pytest.mark.parametrize(
    ("happening", "stage", "told"),
    [
        (Happening.RANG, Stage.RINGING, "ring 180"),
        (Happening.PROGRESSED, Stage.RINGING, "preview"),
        (Happening.PROGRESSED, Stage.EARLY, "join"),
        (Happening.ANSWERED, Stage.RINGING, "answer"),
        (Happening.ANSWERED, Stage.EARLY, "answer"),
        (Happening.ANSWERED, Stage.UP, "align"),
        (Happening.REOFFERED, Stage.UP, "relay offer"),
        (Happening.AGREED, Stage.UP, "follow"),
    ],
)
def test_progress_of_one_side_reaches_the_other(happening: Happening, stage: Stage, told: str) -> None:
    source, other = FakeEnd(Stage.PLACING), FakeEnd(stage)
    assert Link(SESSION, source, other, Owner()).tell(source, happening, News(status=180))
    assert other.told == [told]


@pytest.mark.parametrize("stage", [Stage.RINGING, Stage.EARLY, Stage.PLACING, Stage.OVER])
def test_a_reoffer_has_no_effect_on_a_side_that_is_not_up(stage: Stage) -> None:
    source, other = FakeEnd(Stage.UP), FakeEnd(stage)
    assert not Link(SESSION, source, other, Owner()).tell(source, Happening.REOFFERED)
    assert other.told == []


def test_the_link_works_from_either_end() -> None:
    left, right = FakeEnd(Stage.UP), FakeEnd(Stage.UP)
    link = Link(SESSION, left, right, Owner())
    link.tell(right, Happening.HUNG_UP, News(headers=(("Reason", "x"),)))
    assert left.told == ["hang up 1"]
    assert link.other(left) is right
    assert link.other(right) is left


def test_every_act_of_the_tables_can_be_performed() -> None:
    for table in (SESSION, BRIDGE):
        for (happening, stage), act in table.items():
            end = FakeEnd(stage)
            assert perform(table, end, end, happening, News())
            assert len(end.told) == 1, act


def test_every_act_stands_in_a_table() -> None:
    assert {*SESSION.values(), *BRIDGE.values()} == set(Act)
