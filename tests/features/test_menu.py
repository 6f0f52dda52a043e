"""The voice menu: choices, what is said when there is none, menus below menus, and numbers that are dialled directly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.features.desk import Run, new_server, nothing_left, phones, press
from tests.server.test_sound import tone_wav

from trunkline import CallEnded, CallSession, ConfigurationError, ToUser
from trunkline.features.menu import Action, Menu, MenuEnd, MenuResult, Ring, Say, Step
from trunkline.features.menu_file import load_menu
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork

Script = Callable[[ScriptedCall, Phone], Awaitable[None]]
PROMPT = tone_wav(700, 4.0)


def led(
    run_virtual: Run, network: VirtualNetwork, menu: Menu, script: Script, *, users: tuple[str, ...] = ("alice", "201")
) -> MenuResult | None:
    """How the menu ended for a caller who does what the script says; None where he hung up."""
    results: list[MenuResult | None] = []

    async def main() -> None:
        server = new_server(network, *users)

        @server.on_incoming_call
        async def enter(call: CallSession) -> None:
            try:
                results.append(await menu.run(call))
            except CallEnded:
                results.append(None)
            call.close()

        async with server, phones(network, *users) as (alice, desk, *_):
            call = alice.dial("menu")
            await call.wait_answered()
            await script(call, desk)
            await nothing_left(network, server)

    run_virtual(main())
    (result,) = results
    return result


def keys(*digits: str, after_s: float = 0.3) -> Script:
    async def script(call: ScriptedCall, desk: Phone) -> None:
        for each in digits:
            await press(call, each, after_s=after_s)
        await call.wait_ended(60)

    return script


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_digit_ends_the_prompt_and_is_the_choice_at_once(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    heard: list[float] = []
    menu = Menu(tone_wav(700, 60.0))

    @menu.on("2")
    async def handler(call: CallSession) -> None:
        heard.append(now_s())

    began: list[float] = []

    async def script(call: ScriptedCall, desk: Phone) -> None:
        began.append(now_s())
        await press(call, "2", after_s=1.0)

    assert led(run_virtual, virtual_network, menu, script) == MenuResult(MenuEnd.HANDLED, ("2",))
    assert abs(heard[0] - began[0] - 1.0) < 0.2


def test_who_presses_nothing_is_asked_so_often_and_gets_the_default(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    times: list[float] = []

    async def default(call: CallSession) -> None:
        times.append(now_s())

    async def script(call: ScriptedCall, desk: Phone) -> None:
        times.append(now_s())
        await call.wait_ended(60)

    menu = Menu(PROMPT, {"1": Step.AGAIN}, timeout_s=5, repeats=3, no_choice=tone_wav(500, 1.0), default=default)
    assert led(run_virtual, virtual_network, menu, script) == MenuResult(MenuEnd.HANDLED, ("",))
    # three times prompt, time, and words
    assert abs(times[1] - times[0] - 3 * (4 + 5 + 1)) < 1
    menu = Menu(None, {"1": Step.AGAIN}, timeout_s=1, repeats=2)
    assert led(run_virtual, VirtualNetwork(2), menu, script) == MenuResult(MenuEnd.NOTHING, ())


def test_what_is_no_choice_is_said_and_asked_again(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    menu = Menu(PROMPT, {"1": Step.HANG_UP}, repeats=2, invalid=tone_wav(500, 1.0))
    # the second comes while the words are said, and counts; with none left it is over
    assert led(run_virtual, virtual_network, menu, keys("7", "1")) == MenuResult(MenuEnd.HUNG_UP, ("1",))
    assert led(run_virtual, VirtualNetwork(2), menu, keys("7", "8")) == MenuResult(MenuEnd.NOTHING, ())


def test_a_menu_below_leads_back_and_says_what_it_has_to(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    below = Menu(PROMPT, {"*": Step.BACK, "1": Say(tone_wav(400, 2.0))}, repeats=1)
    menu = Menu(PROMPT, {"5": below, "9": Step.HANG_UP, "*": Step.BACK}, repeats=1)
    result = led(run_virtual, virtual_network, menu, keys("5", "1", "*", "*", "9", after_s=3.0))
    assert result == MenuResult(MenuEnd.HUNG_UP, ("5", "1", "*", "*", "9"))


def test_an_extension_is_dialled_directly_and_a_shorter_choice_waits_for_more(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    talked: list[str] = []

    async def script(call: ScriptedCall, desk: Phone) -> None:
        await press(call, "201")
        at_desk = await desk.next_call()
        assert at_desk.caller_id == "alice"
        at_desk.answer()
        await asyncio.sleep(3)
        talked.append("yes")
        at_desk.hangup()

    menu = Menu(PROMPT, {"2": Step.HANG_UP}, extensions=("2xx",), repeats=1)
    assert led(run_virtual, virtual_network, menu, script) == MenuResult(MenuEnd.TALKED, ("201",))
    assert talked == ["yes"]
    menu.choices["*"] = Step.BACK
    assert led(
        run_virtual, VirtualNetwork(3), Menu(None, {"1": menu}, repeats=1), keys("1", "*1*1", "2*")
    ) == MenuResult(MenuEnd.HUNG_UP, ("1", "*", "1", "*", "1", "2"))
    for pressed, end in (("2", MenuEnd.HUNG_UP), ("2#", MenuEnd.HUNG_UP), ("29*", MenuEnd.NOTHING)):
        result = led(run_virtual, VirtualNetwork(2), menu, keys(pressed))
        assert result is not None
        assert result.end is end, pressed


def test_a_digit_behind_a_choice_is_for_the_menu_below(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    below = Menu(tone_wav(500, 30.0), {"*": Step.HANG_UP}, repeats=1)
    menu = Menu(PROMPT, {"2": below}, extensions=("2xx",), repeats=1)
    assert led(run_virtual, virtual_network, menu, keys("2*")) == MenuResult(MenuEnd.HUNG_UP, ("2", "*"))


def test_a_caller_who_hangs_up_in_a_talk_lets_the_desk_go(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def script(call: ScriptedCall, desk: Phone) -> None:
        await press(call, "1")
        at_desk = await desk.next_call()
        at_desk.answer()
        await at_desk.wait_answered()
        await asyncio.sleep(1)
        call.hangup()
        assert (await at_desk.wait_ended()).how == "bye"

    menu = Menu(PROMPT, {"1": Ring("201")})
    assert led(run_virtual, virtual_network, menu, script) == MenuResult(MenuEnd.TALKED, ("1",))


def test_who_is_not_there_leads_to_what_the_choice_says_otherwise(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def script(call: ScriptedCall, desk: Phone) -> None:
        await press(call, "1")
        (await desk.next_call()).reject(486)
        await press(call, "2")
        at_desk = await desk.next_call()
        assert (await at_desk.wait_ended(30)).how == "cancel"
        await press(call, "3")
        await call.wait_ended(30)

    menu = Menu(
        PROMPT,
        {
            "1": Ring("201"),
            "2": Ring(ToUser("201"), timeout_s=5, otherwise=Say(tone_wav(500, 0.5))),
            "3": Ring("nobody", otherwise=Step.HANG_UP),
        },
        unavailable=tone_wav(500, 1.0),
    )
    assert led(run_virtual, virtual_network, menu, script) == MenuResult(MenuEnd.HUNG_UP, ("1", "2", "3"))


def test_a_caller_who_hangs_up_while_it_rings_leaves_nothing(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def script(call: ScriptedCall, desk: Phone) -> None:
        await press(call, "1")
        at_desk = await desk.next_call()
        call.hangup()
        assert (await at_desk.wait_ended()).how == "cancel"

    assert led(run_virtual, virtual_network, Menu(PROMPT, {"1": Ring("201")}), script) is None


def test_a_prompt_that_is_not_there_costs_the_words_alone(
    run_virtual: Run, virtual_network: VirtualNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    menu = Menu(["nowhere.wav", PROMPT], {"1": Step.HANG_UP}, repeats=1)
    with caplog.at_level(logging.ERROR, "trunkline.features"):
        result = led(run_virtual, virtual_network, menu, keys("1", after_s=3.0))
    assert result == MenuResult(MenuEnd.HUNG_UP, ("1",))
    assert "nowhere.wav cannot be read" in caplog.text


def test_nobody_walks_in_circles_for_ever(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    menu = Menu(None, {}, timeout_s=0.1, repeats=1, default=Step.AGAIN)
    result = led(run_virtual, virtual_network, menu, keys())
    assert result == MenuResult(MenuEnd.NOTHING, ("",) * 100)
    circle = Say(None)
    object.__setattr__(circle, "then", circle)
    menu = Menu(None, {}, timeout_s=0.1, repeats=1, default=circle)
    assert led(run_virtual, VirtualNetwork(2), menu, keys()) == MenuResult(MenuEnd.NOTHING, ("",))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Menu(choices={"1a": Step.AGAIN}), "choices.1a: 1 to 32 of"),
        (lambda: Menu(choices={"": Step.AGAIN}), "choices.: 1 to 32"),
        (lambda: Menu(extensions=("2yy",)), "extensions: "),
        (lambda: Menu(repeats=0), "repeats: 1 to 10"),
        (lambda: Menu(timeout_s=0), "timeout_s: more than 0"),
        (lambda: Menu(choices={"1": Step.BACK}).on("1"), "choices.1: it is a choice already"),
    ],
)
def test_a_menu_that_cannot_work_is_refused_by_its_key(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert str(refused.value).startswith(words)


# --- of a file ----------------------------------------------------------------------------------------------------------

FILE = """
first = "main"

[menus.main]
prompt = ["welcome.wav", "/sounds/choices.wav"]
extensions = ["2xx"]
repeats = 2
default = { to_user = "alice", timeout_s = 30 }

[menus.main.choices]
1 = { to_line = "itsp", number = "+15550100", otherwise = { play = "closed.wav", step = "hang_up" } }
2 = { menu = "support" }
3 = { handler = "hours" }
4 = { play = "address.wav" }

[menus.support]
choices = { "*" = { step = "back" } }
"""


async def hours(call: CallSession) -> Action | None:
    return None


def loaded(tmp_path: Path, text: str) -> Menu:
    (tmp_path / "menu.toml").write_text(text)
    return load_menu(tmp_path / "menu.toml", {"hours": hours})


def test_a_file_gives_the_menus_that_it_describes(tmp_path: Path) -> None:
    menu = loaded(tmp_path, FILE)
    assert menu.prompt == (tmp_path / "welcome.wav", Path("/sounds/choices.wav"))
    assert (menu.repeats, menu.extensions) == (2, ("2xx",))
    assert menu.default == Ring(ToUser("alice"), 30)
    one, below = menu.choices["1"], menu.choices["2"]
    assert isinstance(one, Ring)
    assert one.otherwise == Say((tmp_path / "closed.wav",), Step.HANG_UP)
    assert isinstance(below, Menu)
    assert below.choices == {"*": Step.BACK}
    assert menu.choices["3"] is hours
    assert menu.choices["4"] == Say((tmp_path / "address.wav",), Step.AGAIN)


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("first =", "last =", "first: field required"),
        ('first = "main"', 'first = "none"', "first: there is no menu none"),
        ("repeats = 2", "repeats = 11", "menus.main.repeats: 1 to 10, not 11"),
        ("repeats = 2", "repeat = 2", "menus.main.repeat: there is no such key"),
        ("repeats = 2", 'repeats = "2"', "menus.main.repeats: input should be a valid integer"),
        ('["2xx"]', '["2yy"]', "menus.main.extensions: 1 to 32"),
        ('menu = "support"', 'menu = "sales"', "menus.main.choices.2.menu: there is no menu sales"),
        ('handler = "hours"', 'handler = "none"', "menus.main.choices.3.handler: there is no handler none"),
        ('step = "back"', 'step = "up"', "menus.support.choices.*.step: there is no step up"),
        ('step = "hang_up"', 'stop = "x"', "menus.main.choices.1.otherwise.stop: there is no such key"),
        ('{ play = "address.wav" }', "{}", "menus.main.choices.4: one of to_user"),
        ('menu = "support"', 'menu = "support", to_user = "a"', "menus.main.choices.2: one of to_user"),
        ('to_user = "alice"', 'to_user = "alice", play = "x.wav"', "menus.main.default.play: it cannot be said"),
        ("4 =", "4x =", "menus.main.choices.4x: 1 to 32 of"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_the_key(
    tmp_path: Path, was: str, now: str, words: str
) -> None:
    assert was in FILE
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, FILE.replace(was, now, 1))
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: it cannot be read: No such file"):
        load_menu(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match=r"menu\.toml: it is no TOML"):
        loaded(tmp_path, "first = [")
