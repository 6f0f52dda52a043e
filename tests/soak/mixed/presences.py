"""Scripts without calls: registrations, subscriptions to lamps, mailboxes and presence, and messages."""

from __future__ import annotations

import asyncio

from tests.soak.mixed.errand import PATIENCE_S, Errand
from tests.soak.mixed.people import REALM
from trunkline.testing import RegistrationRefused, RequestRefused, Watch

__all__ = [
    "mailbox_lamp",
    "message",
    "message_over_a_line",
    "message_to_nobody",
    "message_waits",
    "presence",
    "registration_lapses",
    "registration_refreshed",
    "subscription_lapses",
    "subscription_refreshed",
    "subscription_refused",
    "subscription_terminated",
    "wrong_password",
]

SHORT_S = 3
"""A registration or subscription that is refreshed or runs out while somebody looks on."""

DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{user}@{realm}">'
    '<tuple id="t"><status><basic>{basic}</basic></status></tuple></presence>'
)


# --- registrations ----------------------------------------------------------------------------------------------------


async def registration_refreshed(errand: Errand) -> str:
    """Registered, refreshed, called, unregistered."""
    guest = await errand.guest(registers_s=SHORT_S)
    await asyncio.sleep(1.5 * SHORT_S)
    near = errand.dial(errand.alice, guest.name)
    far = await errand.connect(near)
    await errand.hang_up(near, far)
    await guest.unregister(timeout_s=PATIENCE_S)
    return f"then: {await errand.refused(errand.dial(errand.alice, guest.name))}"


async def registration_lapses(errand: Errand) -> str:
    """The phone vanishes, and its registration runs out."""
    guest = await errand.guest(registers_s=SHORT_S)
    guest.vanish()
    await asyncio.sleep(SHORT_S + 2)
    return f"then: {await errand.refused(errand.dial(errand.alice, guest.name))}"


async def wrong_password(errand: Errand) -> str:
    """Somebody guesses."""
    guest = await errand.guest(password="a guess")
    try:
        await guest.register(60, timeout_s=PATIENCE_S)
    except RegistrationRefused as refused:
        return f"refused: {refused.status}"
    return "registered"


# --- subscriptions ----------------------------------------------------------------------------------------------------


async def _ends(watch: Watch) -> str:
    """Unsubscribe, and wait for the last NOTIFY."""
    watch.unsubscribe()
    async with asyncio.timeout(PATIENCE_S):
        while not watch.over:
            await asyncio.sleep(0.1)
    return f"failure: {watch.failure.status if watch.failure is not None else 'none'}"


async def subscription_refreshed(errand: Errand) -> str:
    """A lamp or presence is watched for longer than it was granted, and then no more."""
    package = errand.random.choice(("dialog", "presence"))
    watch = errand.alice.subscribe(package, "bob", expires_s=SHORT_S)
    await watch.next(PATIENCE_S)
    await asyncio.sleep(2 * SHORT_S)
    return await _ends(watch)


async def subscription_lapses(errand: Errand) -> str:
    """The watcher vanishes."""
    guest = await errand.guest(registers_s=SHORT_S)
    watch = guest.subscribe(errand.random.choice(("dialog", "presence")), "alice", expires_s=SHORT_S)
    await watch.next(PATIENCE_S)
    guest.vanish()
    return "gone"


async def subscription_refused(errand: Errand) -> str:
    """There is no such user."""
    watch = errand.alice.subscribe("dialog", "stranger")
    async with asyncio.timeout(PATIENCE_S):
        while not watch.over:
            await asyncio.sleep(0.1)
    return f"refused: {watch.failure.status if watch.failure is not None else 'no'}"


async def subscription_terminated(errand: Errand) -> str:
    """The user that is watched is removed; another one gets its name."""
    guest = await errand.guest()
    watch = errand.alice.subscribe(errand.random.choice(("dialog", "presence")), guest.name, expires_s=60)
    await watch.next(PATIENCE_S)
    await errand.alice.send_message("application", f"replace {guest.name}")
    async with asyncio.timeout(PATIENCE_S):
        while not watch.over:
            await asyncio.sleep(0.1)
    return f"told: {watch.states[-1].reason}"


async def mailbox_lamp(errand: Errand) -> str:
    """A phone watches its mailbox while the application says that messages wait."""
    guest = await errand.guest(registers_s=60)
    watch = guest.subscribe("message-summary", guest.name, expires_s=60)
    await watch.next(PATIENCE_S)
    await errand.alice.send_message("application", f"waiting {guest.name} {errand.random.randint(1, 1_000_000)}")
    await watch.next(PATIENCE_S)
    return await _ends(watch)


async def presence(errand: Errand) -> str:
    """A phone publishes, changes and removes what it published; somebody watches."""
    guest = await errand.guest(registers_s=60)
    watch = errand.alice.subscribe("presence", guest.name, expires_s=60)
    await watch.next(PATIENCE_S)
    document = DOCUMENT.format(user=guest.name, realm=REALM, basic="closed")
    tag = await guest.publish(document, expires_s=60)
    await watch.next(PATIENCE_S)
    tag = await guest.publish(tag=tag, expires_s=60)
    if errand.random.random() < 0.5:
        await guest.publish(tag=tag, expires_s=0)
    else:
        await guest.publish(tag=tag, expires_s=SHORT_S)  # it lapses
    return await _ends(watch)


# --- messages ---------------------------------------------------------------------------------------------------------


async def message(errand: Errand) -> str:
    """Text from one phone to another."""
    return f"told {(await errand.alice.send_message('bob', errand.name)).status}"


async def message_waits(errand: Errand) -> str:
    """Text for a user who is away is there when he comes."""
    guest = await errand.guest()
    status = (await errand.alice.send_message(guest.name, errand.name)).status
    await guest.register(60, timeout_s=PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        while not guest.messages:
            await asyncio.sleep(0.1)
    return f"told {status}, then {'it' if guest.messages[0].body == errand.name.encode() else 'another one'}"


async def message_over_a_line(errand: Errand) -> str:
    """Text for a mobile, by a provider that takes none."""
    return await _refused(errand, "15559876543")


async def message_to_nobody(errand: Errand) -> str:
    """Text for a stranger."""
    return await _refused(errand, "stranger")


async def _refused(errand: Errand, to: str) -> str:
    try:
        return f"told {(await errand.alice.send_message(to, errand.name)).status}"
    except RequestRefused as refused:
        return f"told {refused.status}"
