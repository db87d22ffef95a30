"""Anyone can mail a seed. A real `mailcanary run` watches a mailbox into which hostile mail falls, while its probes go on.

Whatever lies beside them, healthy probes pass and no verdict is revised; a probe that is lost is still missing; memory and bytes fetched
stay bounded; each kind is counted; nothing of it reaches a log line unescaped, or a label.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import re
import smtplib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.lab.control import LabClient
from monitor.lab.faults import Fault, Scope
from monitor.model.policy import KeyRing, SigningKey
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.rules import token
from tests.acceptance.conftest import (
    PASSWORD,
    SIGNING_KEY,
    Daemon,
    LabProcess,
    daemon,
    lab_process,
    read_journal,
    tree_for,
    until,
    write_tree,
)
from tests.acceptance.hostile import letters
from tests.acceptance.hostile.proxy import Proxy, counting
from tests.ports import free_port

pytestmark = [pytest.mark.timeout(240)]

SEED = "seed1@aurora.test"
BYSTANDER = "seed1@borealis.test"
ROUTE = "bare-smtp/aurora-1"
MEMORY = 96 * letters.MIB  # growth that is certainly not proportional to what lies in the mailbox
KEYS = KeyRing((SigningKey(1, SIGNING_KEY.encode()),))


@dataclass
class Scene:
    lab: LabProcess
    daemon: Daemon
    proxy: Proxy
    state_dir: Path

    def deliver(self, raws: Sequence[bytes], folder: str = "INBOX") -> None:
        async def work(client: LabClient) -> None:
            for raw in raws:
                await client.deliver(SEED, raw, folder)

        self.lab.steer(work)

    def value(self, sample: str) -> float:
        return self.daemon.metrics()[sample]

    def foreign(self, kind: str) -> float:
        return self.value(f'mailcanary_foreign_tokens_total{{environment="lab",kind="{kind}"}}')

    def strays(self) -> float:
        return self.value('mailcanary_strays_total{environment="lab",mailbox="aurora-1"}')

    def passes(self, route: str = ROUTE) -> float:
        return self.value(f'mailcanary_probe_results_total{{environment="lab",result="pass",route="{route}"}}')

    def healthy(self, rounds: int = 2) -> None:
        """Further probes to the mailbox pass, and no probe was ever judged otherwise, or twice."""
        wanted = self.passes() + rounds
        until(lambda: self.passes() >= wanted, "healthy probes pass beside the hostile mail", 60.0)
        assert self.unwell() == {}

    def unwell(self) -> dict[str, float]:
        return {
            sample: value
            for sample, value in self.daemon.metrics().items()
            if value
            and (sample.startswith(("mailcanary_probe_revisions_total", "mailcanary_probe_results_total")))
            and 'result="pass"' not in sample
        }

    def a_probe(self) -> bytes:
        """The newest probe in the mailbox, as it lies there."""
        with imaplib.IMAP4("127.0.0.1", self.lab.provider("aurora.test")["plain"]) as client:
            client.login(SEED, PASSWORD)
            client.select("INBOX", readonly=True)
            _, [found] = client.search(None, "FROM", '"refunds@shop.test"')
            _, [(_, raw), *_] = client.fetch(found.split()[-1].decode(), "(BODY.PEEK[])")
            return bytes(raw)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("hostile")
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(lab_process("--mailboxes", "1"))
        proxy = stack.enter_context(counting(lab.provider("aurora.test")["plain"]))
        tree = tree_for(lab.description, directory, [SEED, BYSTANDER], ["bare-smtp"])
        tree["mailboxes"]["aurora-1"]["imap"]["port"] = proxy.port
        tree["schedule"] = {"every": "1s", "jitter": "0%"}
        tree["deadlines"] = {"overdue_floor": "1s", "late": "11s", "missing": "12s", "give_up": "120s", "watch_until": "12s"}
        tree["submission"] |= {"attempt_timeout": "10s", "retry_for": "10s"}
        tree["watch"] |= {"sweep_after": "500ms", "poll_every": "2s", "command_timeout": "20s"}
        port = free_port()
        tree["listen"] = {"host": "127.0.0.1", "port": port}
        running = stack.enter_context(daemon(write_tree(tree, directory), port, directory / "log"))
        stage = Scene(lab, running, proxy, directory / "state")
        until(lambda: stage.passes() >= 1, "the first probe passes", 60.0)
        yield stage


def tell(capsys: pytest.CaptureFixture[str], what: str, scene: Scene, fetched: int, memory: int) -> None:
    with capsys.disabled():
        grown = (scene.daemon.peak() - memory) / letters.MIB
        print(f"\n{what}: {(scene.proxy.fetched - fetched) / letters.MIB:.1f} MiB fetched, memory grew by at most {grown:.1f} MiB")


def counted(scene: Scene, count: Callable[[], float], raws: Sequence[bytes], what: str, by: int | None = None) -> None:
    before = count()
    scene.deliver(raws)
    until(lambda: count() >= before + (len(raws) if by is None else by), what, 60.0)


def mint(environment: str = "lab", instance: str = "canary-1", probe: str = "0123456789ab", path: str = "bare-smtp") -> str:
    route = Route(PathName(path), MailboxName("aurora-1"))
    return token.mint(KEYS, environment, instance, ProbeId(probe), route, int(time.time()))


def test_tokens_that_are_not_ours_to_judge(scene: Scene) -> None:
    """Each is counted by its kind, and none is a sighting."""
    ours = letters.token_of(scene.a_probe())
    kinds = {
        "forged": letters.forged(ours),
        "instance": mint(instance="canary-2"),
        "environment": mint(environment="staging"),
        "unknown_probe": mint(),
    }
    for kind, text in kinds.items():
        counted(scene, lambda kind=kind: scene.foreign(kind), [letters.marked(text)], f"counted as {kind}")  # type: ignore[misc]
    scene.healthy()


def test_a_probe_in_flight_resent_by_a_stranger(scene: Scene) -> None:
    """With our token and our words, but neither our Message-ID nor our authentication: no second copy of ours."""
    counted(scene, lambda: scene.foreign("replayed"), [letters.resent_by_a_stranger(scene.a_probe())], "counted as replayed")
    scene.healthy()


def test_a_closed_probe_replayed(scene: Scene) -> None:
    """Byte for byte, and with another header, when its watch window is over."""
    raw = scene.a_probe()
    probe = token.verify(KEYS, "lab", "canary-1", letters.token_of(raw))
    assert probe is not None

    def closed() -> bool:
        return any(row.kind == "closed" and row.key == probe.probe for row in read_journal(scene.state_dir))

    until(closed, "the probe is closed", 90.0)
    counted(scene, lambda: scene.foreign("replayed"), [raw, b"Received: from evil.test\r\n" + raw], "counted as replayed")
    scene.healthy()


def test_mail_that_speaks_of_a_probe(scene: Scene) -> None:
    """A DSN that returns it, an autoreply that quotes it, a forward that attaches it: the probe arrived, and they are no copies of it."""
    raw = scene.a_probe()
    strays, foreign = scene.strays(), scene.foreign("forged")
    scene.deliver([letters.report(raw), letters.autoreply(raw), letters.forward(raw)])
    scene.healthy(3)
    assert (scene.strays(), scene.foreign("forged")) == (strays, foreign)
    [dsn] = [row.body for row in read_journal(scene.state_dir) if row.kind == "dsn_received"]
    probe = token.verify(KEYS, "lab", "canary-1", letters.token_of(raw))
    assert probe is not None and (dsn["probe"], dsn["action"]) == (probe.probe, "failed")


def test_what_breaks_readers(scene: Scene) -> None:
    scene.deliver(letters.oddities(letters.token_of(scene.a_probe())))
    scene.healthy(3)


def test_words_that_act(scene: Scene) -> None:
    """Terminal escapes, line breaks, HTML and label syntax in what a log line or a metric might repeat."""
    evil = [
        "\x1b[2J\x1b]0;owned\x07 refund",
        "refund\x9b31m",
        '<script>alert("refund")</script>',
        'refund"} 1\nmailcanary_up 0',
        "refund\u202e",
    ]
    counted(scene, scene.strays, [letters.refund(subject) for subject in evil], "counted as strays")
    scene.healthy()
    log = scene.daemon.log.read_bytes()
    assert b"stray" in log
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]", log)
    assert all(json.loads(line)["service"] == "mailcanary" for line in log.splitlines())
    for sample in scene.daemon.metrics():
        assert not re.search(r"script|owned|evil|elsewhere|Mallory|mailcanary_up", sample)


def test_forty_megabytes(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    memory, fetched, rounds = scene.daemon.rss(), scene.proxy.fetched, scene.passes()
    with smtplib.SMTP("127.0.0.1", scene.lab.description["relay"]["plain"]) as relay:
        relay.sendmail("mallory@elsewhere.test", [SEED], letters.huge())
    scene.healthy(3)
    probes = scene.passes() - rounds + 10
    tell(capsys, "40 MiB", scene, fetched, memory)
    assert scene.proxy.fetched - fetched < letters.MIB + probes * 64 * 1024
    assert scene.daemon.peak() - memory < MEMORY


def test_two_thousand_at_once(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Mail of a flood, a third of it refund mail: all counted, and probes pass meanwhile."""
    memory, strays, fetched = scene.daemon.rss(), scene.strays(), scene.proxy.fetched
    flood = [letters.refund() if number % 3 == 0 else letters.letter(subject=f"number {number}") for number in range(2_000)]
    scene.deliver(flood)
    until(lambda: scene.strays() - strays >= 667, "every stray of the flood is counted", 120.0)
    scene.healthy()
    tell(capsys, "2,000 messages", scene, fetched, memory)
    assert scene.strays() - strays == 667
    assert scene.proxy.fetched - fetched < 16 * letters.MIB
    assert scene.daemon.peak() - memory < MEMORY


def test_a_lost_probe_is_still_missing(scene: Scene) -> None:
    """Last, because it leaves verdicts behind: forged and replayed mail does not stand in for a probe that was dropped."""
    raw = scene.a_probe()
    scene.lab.steer(lambda lab: lab.switch_on(Fault.ACCEPT_AND_DROP, Scope(mailbox=SEED), times=1))
    until(lambda: any(entry["fate"] == "dropped" for entry in scene.lab.steer(lambda lab: lab.accepted())["accepted"]), "one is dropped")
    book = scene.lab.steer(lambda lab: lab.accepted())["accepted"]
    lost = next(entry for entry in book if entry["fate"] == "dropped")["recipient"].partition("@")[0].partition("+")[2]
    claim = token.verify(KEYS, "lab", "canary-1", lost)
    assert claim is not None
    scene.deliver([letters.marked(letters.forged(lost)), letters.forward(raw.replace(letters.token_of(raw).encode(), lost.encode()))])

    def verdicts() -> list[str]:
        return [row.body["reason"] for row in read_journal(scene.state_dir) if row.kind == "judged" and row.key == claim.probe]

    until(lambda: bool(verdicts()), "the lost probe is judged", 90.0)
    assert verdicts() == ["missing"]
    assert {sample.partition('result="')[2].partition('"')[0] for sample in scene.unwell()} == {"missing"}
    assert scene.passes("bare-smtp/borealis-1") > 5
    assert scene.daemon.stop() == 0
