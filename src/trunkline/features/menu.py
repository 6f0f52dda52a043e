"""A voice menu, as data or as code: prompts, what each key does, menus below menus, and an end for who presses nothing.

`Menu.run` leads one caller through it. `features.menu_file` makes menus of TOML. All of it rests on the public API, so whoever wants it
otherwise copies this file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from trunkline import ConfigurationError, ToUser
from trunkline.features.asking import Prompt, To, answer, ask, say, talk

if TYPE_CHECKING:
    from trunkline import CallSession

__all__ = ["Action", "Choice", "Handler", "Menu", "MenuEnd", "MenuResult", "Ring", "Say", "Step"]

KEYS = frozenset("0123456789*#")
MAX_DIGITS = 32
MAX_STEPS = 100
"""Choices of one caller, so that nobody walks in circles for ever."""


class Step(Enum):
    """Where a choice leads within the menus."""

    AGAIN = "again"
    """This menu once more."""
    BACK = "back"
    """The menu from which this one was chosen; the first one once more."""
    HANG_UP = "hang_up"
    """The call is ended."""


@dataclass(frozen=True, slots=True)
class Ring:
    """A choice that calls somebody; the menu is over when they have talked.

    Attributes:
        to: Whom: a user's name, or as `CallSession.accept` takes it.
        timeout_s: How long it may ring, in seconds.
        otherwise: What is done when nobody takes it; this menu once more unless given.
    """

    to: str | To
    timeout_s: float = 20.0
    otherwise: Action | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A choice that says something.

    Attributes:
        prompt: What.
        then: What comes after it; this menu once more unless given.
    """

    prompt: Prompt
    then: Action = Step.AGAIN


Handler: TypeAlias = "Callable[[CallSession], Awaitable[Action | None]]"
"""A coroutine that has the call; the menu is over when it returns None, else goes on with what it returns."""

Action: TypeAlias = "Ring | Say | Step | Menu | Handler"
"""What a choice does."""


class MenuEnd(Enum):
    """How a caller's way through menus ended."""

    TALKED = "talked"
    """Somebody was called, and the two have parted."""
    HANDLED = "handled"
    """A handler had the call."""
    HUNG_UP = "hung_up"
    """A choice ended the call."""
    NOTHING = "nothing"
    """Nothing was chosen, however often it was asked."""


@dataclass(frozen=True, slots=True)
class MenuResult:
    """How a caller's way through menus ended. But for HUNG_UP the call is still up, unless the caller hung up."""

    end: MenuEnd
    chosen: tuple[str, ...]
    """What was pressed at each menu, in order; "" where nothing was and the default was taken."""


class Choice(NamedTuple):
    """What was chosen in one menu."""

    digits: str
    """What was pressed; "" where nothing was chosen."""
    action: Action | None
    """What that does; the menu's default where nothing was chosen."""
    ahead: str
    """A digit that was pressed behind it, for what comes next."""


@dataclass(slots=True, eq=False)
class Menu:
    """A menu: what is said, and what each key does. A digit interrupts whatever is said.

    Attributes:
        prompt: What is said, each time that it asks.
        choices: What is pressed → what is done: one or more of 0-9, * and #.
        extensions: Numbers that are dialled directly, as "2xx", x for any digit: the user of that name rings.
        timeout_s: Seconds from the end of the prompt until nothing was pressed.
        between_s: Seconds after a digit in which it may go on, where there are longer numbers that begin so.
        repeats: How often it asks altogether, 1 to 10.
        no_choice: What is said when nothing was pressed.
        invalid: What is said when it is no choice.
        unavailable: What is said when nobody takes a call and the choice says nothing else.
        default: What is done when nothing was chosen, however often it asked; None ends it.
        extension_timeout_s: How long an extension may ring, in seconds.
        country: Whose ringing tone a caller hears, as `CallSession.play_tone` takes it; "" for silence.

    Raises:
        ConfigurationError: A choice can be reached by no key, or a number is out of range.

    Example:
        menu = Menu("welcome.wav", {"1": Ring("sales"), "9": Step.AGAIN}, extensions=("2xx",), default=Ring("alice"))

        @menu.on("2")
        async def opening_hours(call):
            await call.play("hours.wav")
            return Step.BACK

        result = await menu.run(call)
    """

    prompt: Prompt = None
    choices: dict[str, Action] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    timeout_s: float = 5.0
    between_s: float = 2.0
    repeats: int = 3
    no_choice: Prompt = None
    invalid: Prompt = None
    unavailable: Prompt = None
    default: Action | None = None
    extension_timeout_s: float = 20.0
    country: str = "itu"

    def __post_init__(self) -> None:
        for digits in self.choices:
            check_digits(f"choices.{digits}", digits, KEYS)
        for pattern in self.extensions:
            check_digits("extensions", pattern, KEYS | {"x"})
        for name in ("timeout_s", "between_s", "extension_timeout_s"):
            if not 0 < getattr(self, name) <= 3_600:
                raise ConfigurationError(name, f"more than 0 and up to 3600 seconds, not {getattr(self, name)}")
        if not 1 <= self.repeats <= 10:
            raise ConfigurationError("repeats", f"1 to 10, not {self.repeats}")

    def on(self, digits: str) -> Callable[[Handler], Handler]:
        """Make a coroutine the choice of these digits; returns it unchanged.

        Args:
            digits: One or more of 0-9, * and #.

        Raises:
            ConfigurationError: They are none, or something else's.
        """
        check_digits("choices", digits, KEYS)
        if digits in self.choices:
            raise ConfigurationError(f"choices.{digits}", "it is a choice already")

        def add(handler: Handler) -> Handler:
            self.choices[digits] = handler
            return handler

        return add

    async def run(self, call: CallSession) -> MenuResult:
        """Lead a caller through this menu and those below; the call is answered if it is not.

        Returns:
            How it ended, and what was pressed.

        Raises:
            CallEnded: The caller hung up meanwhile.
        """
        await answer(call)
        return await _Walk(call, self).run()

    async def choose(self, call: CallSession, typed: str = "") -> Choice:
        """Ask until something is chosen, `repeats` times at most.

        Args:
            call: The caller's.
            typed: A digit that was pressed before it asks.

        Raises:
            CallEnded: The caller hung up meanwhile.
        """
        for _ in range(self.repeats):
            digits, ahead = await self._digits(call, typed)
            action, typed = self.action_of(digits), ""
            if action is not None:
                return Choice(digits, action, ahead)
            await say(call, self.invalid if digits else self.no_choice)
        return Choice("", self.default, "")

    def action_of(self, digits: str) -> Action | None:
        """What these digits do; None where they are no choice."""
        if digits in self.choices:
            return self.choices[digits]
        if any(len(pattern) == len(digits) and begins(pattern, digits) for pattern in self.extensions):
            return Ring(ToUser(digits), timeout_s=self.extension_timeout_s)
        return None

    async def _digits(self, call: CallSession, typed: str) -> tuple[str, str]:
        """What is pressed, and the digit behind it that belongs to what comes next."""
        digits = typed or await ask(call, self.prompt, timeout_s=self.timeout_s)
        while digits and self._goes_on(digits):
            digit = await ask(call, None, timeout_s=self.between_s)
            if digit and not self._goes_on(digits, digit) and (digit == "#" or self.action_of(digits) is not None):
                return digits, digit.strip("#")
            if not digit:
                break
            digits += digit
        return digits, ""

    def _goes_on(self, digits: str, more: str = "") -> bool:
        """Whether a longer number begins with these digits; with `more`, whether one goes on so."""
        known = (*self.choices, *self.extensions)
        so_far = digits + more
        longer = len(digits) + 1
        return any(len(each) >= longer and begins(each, so_far) for each in known)


class _Walk:
    """One caller's way through menus."""

    def __init__(self, call: CallSession, menu: Menu) -> None:
        self._call = call
        self._menus = [menu]
        self._chosen: list[str] = []

    async def run(self) -> MenuResult:
        ahead = ""
        for _ in range(MAX_STEPS):
            digits, action, ahead = await self._menus[-1].choose(self._call, ahead)
            if action is None:
                break
            self._chosen.append(digits)
            end = await self._act(action)
            if end is not None:
                return self._result(end)
        return self._result(MenuEnd.NOTHING)

    def _result(self, end: MenuEnd) -> MenuResult:
        return MenuResult(end, tuple(self._chosen))

    async def _act(self, action: Action) -> MenuEnd | None:
        """Do what was chosen; None where a menu asks next."""
        for _ in range(MAX_STEPS):
            if isinstance(action, Menu | Step):
                return self._turn(action)
            following = await self._following(action)
            if following is None:
                return MenuEnd.TALKED if isinstance(action, Ring) else MenuEnd.HANDLED
            action = following
        return MenuEnd.NOTHING

    def _turn(self, action: Menu | Step) -> MenuEnd | None:
        if isinstance(action, Menu):
            self._menus.append(action)
        elif action is Step.BACK and len(self._menus) > 1:
            self._menus.pop()
        elif action is Step.HANG_UP:
            self._call.close()
            return MenuEnd.HUNG_UP
        return None

    async def _following(self, action: Ring | Say | Handler) -> Action | None:
        """Do one thing; what comes after it, None where that was all."""
        if isinstance(action, Say):
            await say(self._call, action.prompt)
            return action.then
        if not isinstance(action, Ring):
            return await action(self._call)
        menu = self._menus[-1]
        to = ToUser(action.to) if isinstance(action.to, str) else action.to
        if await talk(self._call, to, timeout_s=action.timeout_s, country=menu.country):
            return None
        if action.otherwise is None:
            await say(self._call, menu.unavailable)
            return Step.AGAIN
        return action.otherwise


def begins(pattern: str, digits: str) -> bool:
    """Whether a number that fits a pattern, as "2xx", begins with these digits."""
    return len(digits) <= len(pattern) and all(
        mark == digit or (mark == "x" and digit.isdigit()) for mark, digit in zip(pattern, digits, strict=False)
    )


def check_digits(key: str, digits: str, allowed: frozenset[str]) -> None:
    """Refuse what no key of a phone gives.

    Raises:
        ConfigurationError: It is empty, too long, or has something else.
    """
    if not 0 < len(digits) <= MAX_DIGITS or set(digits) - allowed:
        raise ConfigurationError(key, f"1 to {MAX_DIGITS} of {''.join(sorted(allowed))}, not {digits!r}")
