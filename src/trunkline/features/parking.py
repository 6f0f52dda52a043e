"""Parking: a call waits in a numbered slot, with music, until somebody dials the number; after a while it goes back to who parked it.

`Parking.bridge` has two calls talk and lets one of them park the other, `park` parks one by itself, `pick_up` is for who dials a
slot. Whatever ends a parked call frees its slot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from trunkline import AudioError, CallEnded, CallError, CallState, CallStateError, ConfigurationError
from trunkline.events import CallSessionDigit
from trunkline.features.asking import Prompt, answer, say

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline import CallSession, ClosedReason, SipServer, TransferRequest

__all__ = ["ParkEnd", "ParkResult", "ParkedCall", "Parking"]

log = logging.getLogger("trunkline.features")

MAX_SLOTS = 1_000
KEY_S = 3.0
"""Between two digits of the key."""


class ParkEnd(Enum):
    """What became of a parked call."""

    PICKED_UP = "picked_up"
    """Somebody dialled its slot; the two have parted."""
    RETURNED = "returned"
    """It went back to who had parked it; the two have parted."""
    UNANSWERED = "unanswered"
    """Nobody picked it up, and who had parked it did not answer."""
    ABANDONED = "abandoned"
    """Its party hung up."""
    FULL = "full"
    """No slot was free."""


@dataclass(frozen=True, slots=True)
class ParkResult:
    """What became of a parked call. Unless its party hung up it is still up: the application ends it, or leads it elsewhere."""

    end: ParkEnd
    slot: int | None
    """Where it was; None where no slot was free."""
    by: str = ""
    """Which user talked to it last; "" where nobody did."""


@dataclass(frozen=True, slots=True)
class ParkedCall:
    """A call that is parked now."""

    slot: int
    call: CallSession
    by: str
    """The user who parked it."""
    since_s: float
    """When, by the loop's clock."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A slot that is taken."""

    parked: ParkedCall
    picked: asyncio.Future[CallSession]
    """Settled with who picks it up."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """The two have parted."""
    parked_again: bool = False
    """Whether who picked it up has parked it; his call is closed when he knows where."""
    transferred: bool = False
    """Whether the parker has left by himself."""


@dataclass(slots=True, eq=False)
class _Keys:
    """What a party does in a call that it may park."""

    call: CallSession
    slot: _Slot | None = None
    """Where it is parked, once it was transferred there."""
    pressed: asyncio.Event = field(default_factory=asyncio.Event)
    digits: str = ""
    last_s: float = 0.0


class Parking:
    """Slots for calls.

    Args:
        server: Whose calls they are.
        slots: The numbers that are dialled to pick a call up, 1 to 1000 of them; the lowest free one is taken.
        number: Whoever transfers a call to it while `bridge` has it talk parks it, as phones with a park key do; "" for none.
        key: What a user presses in a call to park the other party, 1 to 8 of 0-9, * and #; "" for nothing.
        music: What a parked party hears.
        timeout_s: After how many seconds a call goes back to who parked it, 1 to 3600.
        return_timeout_s: How long that one's phones ring, 1 to 300 seconds.
        announce: Makes of a slot what the parker is told of it.

    Raises:
        ConfigurationError: There are no slots or too many, the key is none, or a time is out of range.

    Example:
        parking = Parking(server, key="*7", music="music.mp3")

        @server.on_incoming_call
        async def route(call):
            if await parking.pick_up(call):
                call.close()
                return
            await call.answer()
            await parking.bridge(call, await call.dial_user("alice"))
            call.close()
    """

    def __init__(
        self,
        server: SipServer,
        *,
        slots: Sequence[int] = range(701, 720),
        number: str = "",
        key: str = "",
        music: str | Path | bytes | None = None,
        timeout_s: float = 120.0,
        return_timeout_s: float = 30.0,
        announce: Callable[[int], Prompt] | None = None,
    ) -> None:
        if not 0 < len(set(slots)) <= MAX_SLOTS or min(slots) < 0:
            raise ConfigurationError("slots", f"1 to {MAX_SLOTS} numbers")
        if len(key) > 8 or set(key) - set("0123456789*#"):
            raise ConfigurationError("key", f"up to 8 of 0-9, * and #, not {key!r}")
        for name, value, most in (("timeout_s", timeout_s, 3_600), ("return_timeout_s", return_timeout_s, 300)):
            if not 1 <= value <= most:
                raise ConfigurationError(name, f"1 to {most}, not {value}")
        self._numbers = tuple(sorted(set(slots)))
        self._number = number
        self._key = key
        self._music = music
        self._timeout_s = timeout_s
        self._return_timeout_s = return_timeout_s
        self._announce = announce
        self._slots: dict[int, _Slot] = {}
        self._keys: dict[int, _Keys] = {}
        if key:
            server.on_dtmf(self._on_digit)
        if number:
            server.on_transfer_requested(self._on_transfer)

    @property
    def parked(self) -> Mapping[int, ParkedCall]:
        """The calls that are parked now, by slot."""
        return {number: slot.parked for number, slot in sorted(self._slots.items())}

    # --- what an application does -----------------------------------------------------------------------------------

    async def bridge(self, call: CallSession, phone: CallSession) -> ParkResult | None:
        """Let two calls talk, as `call.bridge`; whoever is at `phone` may park `call` by the key. `phone` is closed.

        Args:
            call: The one that may be parked, answered and alone; it is not closed.
            phone: The other one, of a user: its party may park the call, and again whoever picks it up.

        Returns:
            What became of the call when it was parked last; None where it never was.

        Raises:
            CallEnded: One of them was over before.
            CallFailed: They have no codec in common.
        """
        slot = await self._talk(call, phone)
        return await self._serve(slot, phone) if slot is not None else None

    async def park(self, call: CallSession, *, by: str = "") -> ParkResult:
        """Park a call, and wait until that has come to an end. The call is answered if it is not, and not closed.

        Args:
            call: Which, alone.
            by: The user to whom it goes back; "" for nobody.
        """
        slot = self._take(call, by)
        if slot is None:
            return ParkResult(ParkEnd.FULL, None)
        try:
            await answer(call)
        except BaseException:
            self._free(slot)
            raise
        return await self._serve(slot, None)

    async def pick_up(self, call: CallSession) -> bool:
        """Have a caller who dialled a slot talk to the call that is parked there; returns when they have parted.

        Returns:
            Whether a call was parked there; if not, this one is as it was, and the application decides. It is closed when they
            part.

        Raises:
            CallEnded: The caller hung up before.
        """
        number = call.dial_number
        slot = self._slots.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        if slot is None or slot.picked.done():
            return False
        await answer(call)  # has no point at which another one could be faster
        slot.picked.set_result(call)
        await slot.over.wait()
        if slot.parked_again:
            await call.wait_closed()
        return True

    # --- the way of a parked call -----------------------------------------------------------------------------------

    async def _serve(self, slot: _Slot, parker: CallSession | None) -> ParkResult:
        """Until nobody parks it any more."""
        while True:
            try:
                result, phone = await self._keep(slot, parker)
                following = await self._follow(slot, phone) if phone is not None else None
                slot.parked_again = following is not None
            finally:
                slot.over.set()
            if following is None:
                return result
            # who picked it up and was gone is no parker
            slot, parker = following, phone if phone is not None and phone.state is CallState.ANSWERED else None

    async def _follow(self, slot: _Slot, phone: CallSession) -> _Slot | None:
        """Have the call talk to who has it now; where it is parked next, None where it is not."""
        call = slot.parked.call
        try:
            return await self._talk(call, phone)
        except CallError as error:
            log.info("slot %d: %s", slot.parked.slot, error)
            return self._take(call, slot.parked.by) if call.state is CallState.ANSWERED else None

    async def _keep(self, slot: _Slot, parker: CallSession | None) -> tuple[ParkResult, CallSession | None]:
        """Wait with music until somebody has it; with whom it talks next, or nobody."""
        call = slot.parked.call
        around = [asyncio.ensure_future(self._play(call))]
        if parker is not None and not slot.transferred:
            around.append(asyncio.ensure_future(self._tell(parker, slot.parked.slot)))
        closed = asyncio.ensure_future(call.wait_closed())
        try:
            end, phone = await self._wait(slot, closed)
            return ParkResult(end, slot.parked.slot, phone.from_peer_name if phone is not None else ""), phone
        finally:
            self._free(slot)
            for task in (*around, closed):
                task.cancel()
            await asyncio.gather(*around, closed, return_exceptions=True)

    async def _wait(self, slot: _Slot, closed: asyncio.Future[ClosedReason]) -> tuple[ParkEnd, CallSession | None]:
        await asyncio.wait((slot.picked, closed), timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if closed.done():
            return ParkEnd.ABANDONED, None
        if slot.picked.done():
            return ParkEnd.PICKED_UP, slot.picked.result()
        return await self._return(slot, closed)

    async def _return(self, slot: _Slot, closed: asyncio.Future[ClosedReason]) -> tuple[ParkEnd, CallSession | None]:
        """Ring who parked it; meanwhile it can still be picked up."""
        call, by = slot.parked.call, slot.parked.by
        if not by:
            return ParkEnd.UNANSWERED, None
        dial = asyncio.ensure_future(call.dial_user(by, timeout_s=self._return_timeout_s))
        taken = False
        try:
            await asyncio.wait((slot.picked, closed, dial), return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                return ParkEnd.ABANDONED, None
            if slot.picked.done():
                return ParkEnd.PICKED_UP, slot.picked.result()
            if dial.exception() is not None:
                return ParkEnd.UNANSWERED, None
            taken = True
            return ParkEnd.RETURNED, dial.result()
        finally:
            if not taken:
                dial.cancel()
                (found,) = await asyncio.gather(dial, return_exceptions=True)
                if not isinstance(found, BaseException):  # answered in the same moment
                    found.close()

    async def _talk(self, call: CallSession, phone: CallSession) -> _Slot | None:
        """Have the two talk; the slot that `phone` parks the call in, None where they part. `phone` is closed then."""
        keys = self._keys[phone.id] = _Keys(call)
        talking = asyncio.ensure_future(call.bridge(phone))
        slot = None
        try:
            while slot is None:
                pressed = asyncio.ensure_future(keys.pressed.wait())
                try:
                    await asyncio.wait((talking, pressed), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    pressed.cancel()
                if keys.slot is not None:  # the phone has left by itself
                    slot = keys.slot
                elif talking.done():
                    talking.result()
                    return None
                else:
                    keys.pressed.clear()
                    slot = self._take(call, phone.from_peer_name)
            return slot
        finally:
            self._keys.pop(phone.id, None)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            if slot is None:
                phone.close()
                if keys.slot is not None:
                    self._free(keys.slot)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _take(self, call: CallSession, by: str) -> _Slot | None:
        """The lowest free slot; None where there is none."""
        number = next((number for number in self._numbers if number not in self._slots), None)
        if number is None:
            log.info("call %d: no slot is free", call.id)
            return None
        loop = asyncio.get_running_loop()
        slot = _Slot(ParkedCall(number, call, by, loop.time()), loop.create_future())
        self._slots[number] = slot
        return slot

    def _free(self, slot: _Slot) -> None:
        if self._slots.get(slot.parked.slot) is slot:
            del self._slots[slot.parked.slot]

    async def _play(self, call: CallSession) -> None:
        if self._music is None:
            return
        try:
            await call.play(self._music, times=0)
        except AudioError as error:
            log.error("parked callers hear no music: %s", error)
        except CallError:
            return

    async def _tell(self, phone: CallSession, slot: int) -> None:
        """Tell the parker where it is, and let him go."""
        try:
            if self._announce is not None and phone.state is CallState.ANSWERED:
                await say(phone, self._announce(slot))
        except CallError:
            return
        finally:
            phone.close()

    async def _on_transfer(self, request: TransferRequest) -> None:
        keys = self._keys.get(request.call.id)
        if keys is None or request.to != self._number:
            return
        slot = self._take(keys.call, request.call.from_peer_name)
        if slot is None:
            request.reject(486, "No Slot Is Free")
            return
        try:
            request.take()
        except (CallEnded, CallStateError):
            self._free(slot)
            return
        keys.slot, slot.transferred = slot, True
        keys.pressed.set()

    async def _on_digit(self, event: CallSessionDigit) -> None:
        keys = self._keys.get(event.call.id)
        if keys is None:
            return
        now_s = asyncio.get_running_loop().time()
        before = keys.digits if now_s - keys.last_s <= KEY_S else ""
        keys.digits, keys.last_s = (before + event.digit)[-len(self._key) :], now_s
        if keys.digits == self._key:
            keys.digits = ""
            keys.pressed.set()
