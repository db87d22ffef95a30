"""What single values of `notify:` and `heartbeat:` cannot show: names without a channel, and channels that nobody named."""

from __future__ import annotations

from monitor.model.duration import print_duration
from monitor.model.secret import SecretRef
from monitor.settings.addresses import unencrypted
from monitor.settings.faults import KeyPath
from monitor.settings.notify_routes import check_routes
from monitor.settings.notify_shape import (
    AlertmanagerShape,
    AppriseShape,
    ChannelShape,
    HeartbeatShape,
    NotifyShape,
    PagerdutyShape,
    SlackShape,
    WebhookShape,
)
from monitor.settings.report import Report
from monitor.settings.scalars import closest

_LISTED = 16


def told(notify: NotifyShape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels of pages and of tickets: those that are written, else all that are not in fallback."""
    others = tuple(name for name in notify.channels if name not in notify.fallback)
    return (others if notify.pages is None else notify.pages, others if notify.tickets is None else notify.tickets)


def check_notify(notify: NotifyShape, report: Report) -> None:
    for name, channel in notify.channels.items():
        _encrypted(("notify", "channels", name), channel, report)
    for key in ("pages", "tickets", "fallback"):
        _known((key,), getattr(notify, key) or (), notify, report)
    for index, route in enumerate(notify.routes):
        _known(("routes", index, "channels"), route.channels, notify, report)
    check_routes(notify.routes, report)
    if notify.give_up_after <= notify.fallback_after:
        what = (
            f"give_up_after ({print_duration(notify.give_up_after)}) is not after fallback_after ({print_duration(notify.fallback_after)})"
        )
        key = "give_up_after" if report.written(("notify", "give_up_after")) else "fallback_after"
        report.fault(("notify", key), what, "write fallback_after < give_up_after")
    pages, tickets = told(notify)
    if notify.fallback and not pages:
        what = "has nobody before it: no channel is told of pages first"
        report.fault(("notify", "fallback"), what, "name another channel in pages:, or remove fallback:")
    elif not pages:
        what = "names no channel: nobody is paged" if not notify.channels else "names no channel for pages: nobody is paged"
        report.note(("notify", "pages") if notify.channels else ("notify",), what, "write channels: {NAME: {kind: webhook, url: ...}}")
    for index, name in enumerate(notify.fallback):
        if name in pages:
            report.fault(("notify", "fallback", index), f"{name} is told of pages at once already", "take it out of pages: or of fallback:")
    for name in notify.channels:
        if name not in {*pages, *tickets, *notify.fallback, *(each for route in notify.routes for each in route.channels)}:
            mend = "name it in pages:, tickets:, fallback: or a route, or remove it"
            report.note(("notify", "channels", name), "is told of nothing", mend)


def check_heartbeat(heartbeat: HeartbeatShape | None, report: Report) -> None:
    if heartbeat is not None and isinstance(heartbeat.url, str) and unencrypted(heartbeat.url):
        report.note(("heartbeat", "url"), "is asked unencrypted over a public network", "use https://")


def _encrypted(at: KeyPath, channel: ChannelShape, report: Report) -> None:
    what = "sends notifications unencrypted over a public network"
    match channel:
        case WebhookShape(url=SecretRef()):
            pass
        case WebhookShape(url=str(url)) if unencrypted(url):
            report.note((*at, "url"), what, "use https://")
        case AlertmanagerShape(urls=urls):
            for index, url in enumerate(urls):
                if unencrypted(url):
                    report.note((*at, "urls", index), what, "use https://")
        case PagerdutyShape(url=url) if unencrypted(url):
            report.note((*at, "url"), what, "use https://")
        case WebhookShape() | PagerdutyShape() | SlackShape() | AppriseShape():
            pass


def _known(key: KeyPath, names: tuple[str, ...], notify: NotifyShape, report: Report) -> None:
    for index, name in enumerate(names):
        if name not in notify.channels:
            near = closest(name, notify.channels)
            known = ", ".join(list(notify.channels)[:_LISTED]) or "none"
            report.fault(("notify", *key, index), f"no channel is called {name}", f"did you mean {near}?" if near else f"known: {known}")
        elif name in names[:index]:
            report.fault(("notify", *key, index), f"{name} stands there twice", "keep one of them")
