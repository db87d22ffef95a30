"""mailcanary init against Postfix and Dovecot: what it writes after asking real servers works with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from monitor.edge.secret import SystemSecrets
from monitor.model.policy import Policy
from monitor.settings import load
from tests.real import canary
from tests.real.canary import HOST
from tests.real.cases import AUTHSERV, DOMAIN, PASSWORD, USER, World, vouch
from tests.real.postfix import Asked
from tests.real.test_real_servers import LACKING

pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"real servers (Postfix, Dovecot): {LACKING}"),
    pytest.mark.timeout(150),
]


def call_init(world: World, directory: Path, *names: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """With a relay that wants STARTTLS and AUTH, and an account for each name."""
    words = ["--output", str(directory / "mailcanary.yaml"), "--environment", "real", "--ca-file", world.ca_file]
    words += ["--relay", f"{HOST}:{world.postfix.submission}", "--relay-user", USER, "--author", f"refunds@{DOMAIN}"]
    environment = {"MAILCANARY_INIT_RELAY_PASSWORD": PASSWORD}
    for number, name in enumerate(names, 1):
        world.dovecot.add_user(f"{name}@{DOMAIN}", PASSWORD)
        words += ["--mailbox", f"{name}@{DOMAIN}"]
        environment[f"MAILCANARY_INIT_MAILBOX_{number}_PASSWORD"] = password
    words += ["--imap", f"{HOST}:{world.dovecot.imaps}"]
    return subprocess.run(
        canary.command("init", "--yes", *words),
        cwd=canary.ROOT,
        env={**os.environ, **environment, "TMPDIR": str(directory.parent)},
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )


def written(directory: Path) -> Policy:
    return load(directory / "mailcanary.yaml", SystemSecrets()).policy


def fresh(tmp_path: Path) -> Path:
    (tmp_path / "canary").mkdir()
    return tmp_path / "canary"


def test_what_real_servers_say_is_written(world: World, tmp_path: Path) -> None:
    world.postfix.treat(f"init-a@{DOMAIN}", vouch("pass"))
    at = fresh(tmp_path)
    said = call_init(world, at, "init-a", "init-b")
    assert said.returncode == 0, said.stderr
    boxes = list(written(at).mailboxes.values())
    assert [(box.plus_tags, box.authserv_ids) for box in boxes] == [(True, (AUTHSERV,)), (True, ())]
    assert "bore no Authentication-Results" in (at / "mailcanary.yaml").read_text()
    assert "its clock agrees with ours" in said.stderr
    code, document = canary.check_live(at / "mailcanary.yaml")
    assert (code, document["ok"]) == (0, True), document
    for name in ("init-a", "init-b"):
        (asked,) = world.postfix.asked(f"{name}@{DOMAIN}")
        assert asked.sasl_username == USER and "+" in asked.recipient
        assert world.dovecot.doveadm("search", "-u", f"{name}@{DOMAIN}", "mailbox", "*", "all") == "", "nothing is left lying"


def no_tags(asked: Asked, _before: int) -> str:
    return "REJECT no such user" if "+" in asked.recipient else "DUNNO"


def test_a_relay_that_knows_no_plus_tags(world: World, tmp_path: Path) -> None:
    world.postfix.treat(f"init-c@{DOMAIN}", no_tags)
    at = fresh(tmp_path)
    said = call_init(world, at, "init-c")
    assert said.returncode == 0, said.stderr
    assert [box.plus_tags for box in written(at).mailboxes.values()] == [False]
    assert "plus_tags: false for mail-1" in said.stdout


def test_a_password_that_dovecot_refuses(world: World, tmp_path: Path) -> None:
    at = fresh(tmp_path)
    said = call_init(world, at, "init-d", password="not this one")
    assert said.returncode == 3 and "AUTHENTICATIONFAILED" in said.stderr and "not this one" not in said.stderr + said.stdout
    assert list(at.iterdir()) == [] and world.postfix.asked(f"init-d@{DOMAIN}") == []


def test_a_relay_that_refuses_the_mail(world: World, tmp_path: Path) -> None:
    world.postfix.treat(f"init-e@{DOMAIN}", "REJECT go away")
    at = fresh(tmp_path)
    said = call_init(world, at, "init-e")
    assert said.returncode == 1 and "go away" in said.stderr and list(at.iterdir()) == []
