"""SUBSCRIBE outside of dialogs, for all packages: who may, how many, and who is told when a resource changes.

The server hands requests in; packages say what there is to tell. Subscriptions do not survive a restart: a phone's
refresh gets 481 then and it subscribes anew (RFC 6665 §4.1.2.2); a server that stops ends them with `deactivated`.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import Protocol

from trunkline.messaging.peers import Directory
from trunkline.sip.dialog import DialogError
from trunkline.sip.endpoint import Endpoint, Message, RequestReceived, SipParseError
from trunkline.sip.notifier import Body, Notifier, accept_subscription
from trunkline.sip.subscription import EventType, Expiry, SubscriptionRefused

__all__ = ["Package", "Source", "Watching"]

log = logging.getLogger("trunkline.messaging")

MAX_SUBSCRIPTIONS = 50_000
"""Subscriptions in all; further ones get 503."""

MAX_PER_USER = 500
"""Subscriptions of one user: a console with a lamp for each of its colleagues."""

RETRY_AFTER_S = 60


class Source(Protocol):
    """What one subscription is told; keeps what it was told before."""

    def body(self, *, full: bool) -> Body:
        """The state now: all of it, or what changed since the last call."""


class Package(Protocol):
    """An event package."""

    name: str
    content_type: str
    expiry: Expiry
    min_interval_s: float

    def source(self, watcher: str, resource: str) -> Source:
        """What `watcher` is told of `resource`. SubscriptionRefused (403) where it may not be told."""


class Watching:
    """All subscriptions that we serve.

    Args:
        endpoint: Where they are.
        directory: Knows users and our addresses.
    """

    def __init__(self, endpoint: Endpoint, directory: Directory) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._packages: dict[str, Package] = {}
        self._of_resource: defaultdict[tuple[str, str], dict[int, _Watch]] = defaultdict(dict)
        self._of_watcher: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, package: Package) -> None:
        """Serve a package."""
        self._packages[package.name] = package

    @property
    def allow_events(self) -> tuple[str, str]:
        """The header that names the packages (RFC 6665 §8.2.2)."""
        return ("Allow-Events", ", ".join(self._packages))

    # --- from the server --------------------------------------------------------------------------------------------

    def subscribe(self, request: RequestReceived) -> None:
        """Take a SUBSCRIBE outside of dialogs; it is answered now."""
        try:
            self._take(request)
        except (SubscriptionRefused, DialogError) as refused:
            headers = getattr(refused, "headers", ())
            self._endpoint.respond(request.tx, refused.status, refused.reason or None, headers)

    def changed(self, package: str, resource: str) -> None:
        """A resource has changed: tell who watches it."""
        for watch in list(self._of_resource.get((package, resource), {}).values()):
            watch.changed()

    def drop_user(self, user: str) -> None:
        """A user is gone: nobody watches it any more, and it watches nobody."""
        for watch in self._all():
            if watch.resource == user:
                watch.end("noresource")
            elif watch.watcher == user:
                watch.end("rejected")

    def end_all(self) -> None:
        """The server stops: say so to everybody (§4.1.3)."""
        for watch in self._all():
            watch.end("deactivated")

    def close(self) -> None:
        """Forget all of them without a word."""
        for watch in self._all():
            watch.abandon()

    # --- from a watch -----------------------------------------------------------------------------------------------

    def forget(self, watch: _Watch) -> None:
        """From a subscription: it is over."""
        key = (watch.package.name, watch.resource)
        if self._of_resource[key].pop(id(watch), None) is not None:
            self._count -= 1
            self._of_watcher[watch.watcher] -= 1
            if not self._of_watcher[watch.watcher]:
                del self._of_watcher[watch.watcher]
        if not self._of_resource[key]:
            del self._of_resource[key]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _all(self) -> list[_Watch]:
        return [watch for watches in list(self._of_resource.values()) for watch in list(watches.values())]

    def _take(self, request: RequestReceived) -> None:
        message = request.message
        event = EventType.of(message)
        package = self._packages.get(event.package) if event is not None else None
        if event is None or package is None:
            # RFC 6665 §4.2.1.1
            raise SubscriptionRefused(489, "", [self.allow_events])
        watcher = self._directory.proven_user(request)
        if watcher is None:
            return
        resource = self._resource(request)
        _check_accept(message, package)
        self._check_bounds(watcher)
        expires_s = package.expiry.grant_s(message)
        watch = _Watch(self, package, watcher, resource, package.source(watcher, resource))
        self._enter(watch)
        try:
            watch.notifier = accept_subscription(
                self._endpoint,
                request,
                watch,
                event=event,
                contact=self._directory.contact(request.flow),
                expires_s=expires_s,
                expiry=package.expiry,
                min_interval_s=package.min_interval_s,
            )
        except DialogError:
            self.forget(watch)
            raise

    def _resource(self, request: RequestReceived) -> str:
        try:
            user = self._directory.user_named(request.message.uri, request.flow)
        except SipParseError as error:
            raise SubscriptionRefused(error.status or 400, error.reason) from error
        if user is None:
            raise SubscriptionRefused(404)
        return user

    def _check_bounds(self, watcher: str) -> None:
        if self._count >= MAX_SUBSCRIPTIONS:
            raise SubscriptionRefused(503, "", [("Retry-After", str(RETRY_AFTER_S))])
        if self._of_watcher[watcher] >= MAX_PER_USER:
            raise SubscriptionRefused(403, f"No more than {MAX_PER_USER} subscriptions")

    def _enter(self, watch: _Watch) -> None:
        self._of_resource[watch.package.name, watch.resource][id(watch)] = watch
        self._of_watcher[watch.watcher] += 1
        self._count += 1


class _Watch:
    """One subscription: whose, of what; the handler of its notifier."""

    def __init__(self, watching: Watching, package: Package, watcher: str, resource: str, source: Source) -> None:
        self.package = package
        self.watcher = watcher
        self.resource = resource
        self.notifier: Notifier | None = None
        self._watching = watching
        self._source = source

    def body(self, *, full: bool) -> Body:
        return self._source.body(full=full)

    def changed(self) -> None:
        if self.notifier is not None:
            self.notifier.changed()

    def end(self, reason: str) -> None:
        if self.notifier is not None:
            self.notifier.terminate(reason)

    def abandon(self) -> None:
        if self.notifier is not None:
            self.notifier.abandon()

    def on_ended(self, notifier: Notifier, reason: str) -> None:
        self._watching.forget(self)


def _check_accept(message: Message, package: Package) -> None:
    """SubscriptionRefused (406) where it does not take what the package sends (RFC 6665 §4.2.1.1)."""
    accepted = message.tokens("Accept")
    kind = package.content_type.partition("/")[0]
    if accepted and not {package.content_type, f"{kind}/*", "*/*"} & set(accepted):
        raise SubscriptionRefused(406, "", [("Accept", package.content_type)])
