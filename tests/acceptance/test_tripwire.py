"""A deploy of the shop begins to mail people who never bought anything. A real `mailcanary run` watches the mailbox of two of them, into
which newsletters, spam and phish in the shop's name fall as well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.lab.configuration import configuration
from monitor.lab.control import LabClient
from tests.acceptance.conftest import SIGNING_KEY, Daemon, LabProcess, Row, daemon, lab_process, read_journal, until, write_tree
from tests.ports import free_port

pytestmark = [pytest.mark.timeout(120)]

STRANGERS = ("never.bought@aurora.test", "nor.did.i@borealis.test")
SEED = "seed1@cumulus.test"
CORPUS = Path(__file__).parent.parent / "corpus" / "tripwire" / "not_ours"


@dataclass
class Scene:
    lab: LabProcess
    daemon: Daemon
    state_dir: Path

    def facts(self, kind: str) -> list[Row]:
        return [row for row in read_journal(self.state_dir) if row.kind == kind]

    def accounts(self) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
        """What lies in the strangers' mailboxes: UIDs and flags by folder."""

        async def look(client: LabClient) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
            found = {}
            for address in STRANGERS:
                for name, folder in (await client.mailbox(address))["folders"].items():
                    found[f"{address} {name}"] = [(message["uid"], tuple(message["flags"])) for message in folder["messages"]]
            return found

        return self.lab.steer(look)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("tripwire")
    with contextlib.ExitStack() as stack:
        strangers = [word for address in STRANGERS for word in ("--stranger", address)]
        lab = stack.enter_context(lab_process("--mailboxes", "1", *strangers))
        tree = configuration(lab.description, directory / "secret", directory / "state", "plain")
        tree["mailboxes"] = {name: tree["mailboxes"][name] for name in ("cumulus-1", "tripwire-1", "tripwire-2")}
        (directory / "key").write_text(SIGNING_KEY)
        tree["signing"] = {"keys": [{"number": 1, "secret": {"file": str(directory / "key")}}]}
        tree["paths"] = {"app": tree["paths"]["app"]}
        tree["schedule"] = {"every": "2s", "jitter": "0%"}
        tree["watch"] |= {"poll_every": "2s"}
        port = free_port()
        tree["listen"] = {"host": "127.0.0.1", "port": port}
        running = stack.enter_context(daemon(write_tree(tree, directory), port, directory / "log"))
        yield Scene(lab, running, directory / "state")


def test_only_the_shop_trips(scene: Scene) -> None:
    """Mail that is not the shop's, healthy probes, then the deploy; all in one story, for the order is the point."""
    cases = sorted(CORPUS.glob("*.eml"))

    async def deliver(client: LabClient) -> None:
        for case in cases:
            # Their receiver's results, under the name that this mailbox trusts.
            raw = case.read_bytes().replace(b"mx.mailbox.example", b"mx.aurora.test").replace(b"shop.example", b"shop.test")
            await client.deliver(STRANGERS[0], raw)

    until(lambda: len(scene.facts("watch_restored")) >= 3, "all mailboxes are watched")
    scene.lab.steer(deliver)
    until(lambda: len(scene.facts("stray")) >= 12 and len(scene.facts("unasked")) >= 4, "strays are counted, and mail of others")
    until(lambda: any(row.body["verdict"] == "pass" for row in scene.facts("judged")), "a probe passes")
    assert scene.facts("tripped") == []

    scene.lab.steer(lambda client: client.deploy("v4"))
    until(lambda: {row.body["mailbox"] for row in scene.facts("tripped")} == {"tripwire-1", "tripwire-2"}, "both trip", 15.0)
    tripped = scene.facts("tripped")
    scene.lab.steer(lambda client: client.deploy("v1"))
    for row in tripped:
        assert row.body["author_domain"] == "shop.test"
        assert "says spf=pass, dkim=pass, dmarc=pass for shop.test" in row.body["evidence"][0]
        assert "£49.90" in row.body["evidence"][1] and "INBOX" in row.body["evidence"][2]
        assert not any(address in str(row.body) for address in STRANGERS)
    mails = {name: {uid for uid, _ in messages} for name, messages in scene.accounts().items()}
    assert len(mails[f"{STRANGERS[0]} INBOX"]) >= len(cases) + 1
    assert not any(flags for messages in scene.accounts().values() for _, flags in messages), "no flag, not even \\Seen, was set"

    before = scene.accounts()
    assert scene.daemon.stop() == 0
    assert scene.accounts() == before
    passed = {row.body["route"]["mailbox"] for row in scene.facts("judged")}
    assert passed == {"cumulus-1"}, "nothing was ever submitted to a tripwire"
