"""Places that apprise knows: what reaches them, that none of them is e-mail, and that neither a thread nor a secret stays behind."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import apprise
import pytest
from apprise.manager_plugins import NotificationManager

from monitor.edge.channels import Apprise
from monitor.edge.channels import apprise as module
from monitor.model.channels import MAILING, AppriseChannel
from monitor.model.incident import Severity
from monitor.model.notice import Call, NotTold, Telling, Told
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.channel_contract import ended
from tests.edge.channels.contract.receiver import TOKEN, Receiver, endless, hang, notice, status
from tests.fakes.paths import StubSecrets

pytestmark = [
    pytest.mark.usefixtures("loaded"),
    # A thread that is ended may leave a socket to the garbage collector, which closes it and warns.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

URL = SecretRef(SecretSource.ENV, "PLACE")


def place(url: str) -> Apprise:
    return Apprise(AppriseChannel(URL), StubSecrets({URL.name: url}))


@pytest.mark.parametrize(
    ("call", "severity", "kind"),
    [
        (Call.FIRE, Severity.PAGE, "failure"),
        (Call.FIRE, Severity.TICKET, "warning"),
        (Call.RESOLVE, Severity.PAGE, "success"),
        (Call.TEST, Severity.TICKET, "info"),
    ],
)
async def test_a_notice_becomes_a_message(call: Call, severity: Severity, kind: str) -> None:
    async with Receiver(status(200)) as receiver:
        channel = place(f"json://127.0.0.1:{receiver.port}/{TOKEN}")
        told = await channel.tell(notice(call, severity=severity, text="Broke: <b>a & b</b> \\n *x*"), 10.0)
    (got,) = receiver.requests
    body = json.loads(got.body)
    assert isinstance(told, Told) and got.path == f"/{TOKEN}"
    assert (body["title"], body["message"], body["type"]) == (notice().title, "Broke: <b>a & b</b> \\n *x*", kind)


async def test_what_a_place_takes_is_not_exceeded_and_nothing_is_sent_in_pieces() -> None:
    plugin = next(each for each in NotificationManager().plugins() if each.__name__ == "NotifyNtfy")
    async with Receiver(status(200, "{}")) as receiver:
        channel = place(f"ntfy://127.0.0.1:{receiver.port}/{TOKEN}")
        told = await channel.tell(notice(title="t" * 10_000, text="wörd " * 5_000), 10.0)
    assert isinstance(told, Told) and len(receiver.requests) == 1
    assert 1_000 < len(receiver.requests[0].body.decode()) <= plugin.body_maxlen


async def test_text_is_text_where_a_place_takes_html() -> None:
    """What a peer said is no markup there."""
    async with Receiver(status(200)) as receiver:
        await place(f"json://127.0.0.1:{receiver.port}/?format=html").tell(notice(text="<script>x</script> & more"), 10.0)
    assert "<script>" not in json.loads(receiver.requests[0].body)["message"]


def test_no_place_that_sends_mail_is_left_out() -> None:
    """Whatever in this version of the library has to do with SMTP or says that it is for e-mail."""
    mail = (
        "mail",
        "smtp",
        "sendgrid",
        "sendpulse",
        "sparkpost",
        "postmark",
        "resend",
        "brevo",
        "office 365",
        "(ses)",
        "pingram",
        "delta chat",
    )
    sending = {
        scheme
        for plugin in NotificationManager().plugins()
        if any(word in f"{plugin.service_name} {plugin.__module__}".lower() for word in mail)
        for scheme in _schemes(plugin)
    }
    assert sending == set(MAILING)


def _schemes(plugin: type) -> set[str]:
    both = (getattr(plugin, "protocol", None), getattr(plugin, "secure_protocol", None))
    return {scheme for some in both if some for scheme in ([some] if isinstance(some, str) else some)}


@pytest.mark.parametrize("url", ["mailto://u:p@example.com", "MailtoS://u:p@example.com", "  ses://u@example.com/a/b/us-east-1"])
async def test_none_that_mails_is_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_send", None)
    told = await place(url).tell(notice(), 10.0)
    assert isinstance(told, NotTold) and not told.transient and "e-mail" in told.detail and "example.com" not in repr(told)


async def test_one_secret_is_one_place() -> None:
    async with Receiver(status(200)) as receiver:
        urls = f"json://127.0.0.1:{receiver.port}/a, mailto://u:p@example.com, json://127.0.0.1:{receiver.port}/b"
        await place(urls).tell(notice(), 10.0)
    assert len(receiver.requests) <= 1


async def test_without_the_extra_it_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    told = await place("json://127.0.0.1").tell(notice(), 10.0)
    assert told == NotTold("apprise is not installed", transient=False, mend="pip install 'mailcanary[apprise]'")


async def test_a_thread_that_nobody_waits_for_ends_though_the_peer_never_stops() -> None:
    async with Receiver(endless(200)) as receiver:
        channel = place(f"json://127.0.0.1:{receiver.port}/")
        told = await channel.tell(notice(), 0.3)
        assert isinstance(told, NotTold) and told.transient and "0.3 s" in told.detail
        await ended(channel)


async def test_threads_that_hang_are_bounded() -> None:
    async with Receiver(hang) as receiver:
        channel = place(f"json://127.0.0.1:{receiver.port}/")
        hanging = [asyncio.create_task(channel.tell(notice(), 20.0)) for _ in range(module.AT_ONCE)]
        async with asyncio.timeout(20.0):
            while len(receiver.requests) < module.AT_ONCE:
                await asyncio.sleep(0.01)
        told = await channel.tell(notice(), 20.0)
        assert isinstance(told, NotTold) and told.transient and "still under way" in told.detail
        await receiver.away()
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await ended(channel)


async def test_what_breaks_in_the_library_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise.Apprise, "instantiate", staticmethod(lambda *_, **__: (_ for _ in ()).throw(ValueError(TOKEN))))
    told = await place("json://127.0.0.1").tell(notice(), 10.0)
    assert told == NotTold("{env: PLACE}: ValueError in the library apprise", transient=True)


@pytest.mark.parametrize("url", [f"json://127.0.0.1:1/{TOKEN}", f"nowhere://{TOKEN}/{TOKEN}", f"{TOKEN}", f"slack://{TOKEN}/x"])
async def test_nothing_of_it_reaches_a_log(url: str) -> None:
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    root, ear = logging.getLogger(), Ear()
    before = root.level
    root.addHandler(ear)
    root.setLevel(1)
    try:
        told: Telling = await place(url).tell(notice(), 10.0)
    finally:
        root.removeHandler(ear)
        root.setLevel(before)
    assert isinstance(told, NotTold) and TOKEN not in repr(told)
    assert not [line for line in heard if TOKEN in line]
