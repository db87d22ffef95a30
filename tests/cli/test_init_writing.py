"""init: what is written loads and means what was answered; it appears whole or not at all, and secrets stand in files of their own."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cli import UsageError
from monitor.cli.setup import writing
from monitor.cli.setup.answers import Answers, Relay, Seed, Server, Shop
from monitor.cli.setup.trying import Learnt
from monitor.cli.setup.writing import KEY, Target, draft, lay_out
from monitor.edge.secret import SystemSecrets
from monitor.model.address import Address
from monitor.model.mail import UNSAID, Authentication, AuthResult, Carrier
from monitor.model.policy import HttpPath, LoginMethod, Policy, Security, SmtpPath
from monitor.model.probe import MailboxName, PathName
from monitor.model.secret import SecretSource
from monitor.rules import rehearse
from monitor.settings import load

SIGNING = "0123456789abcdef" * 4
RELAY = Relay(Server("smtp.shop.example", 587, Security.STARTTLS), "canary", "relay pass", Address.parse("refunds@shop.example"))
SHOP = Shop("http://localhost:8080/refunds?a=b#".rstrip("#"), "Bearer: token")
SEED = Seed(
    "gmail-1", "gmail", Address.parse("a@gmail.com"), (Server("imap.gmail.com", None, Security.TLS),), LoginMethod.LOGIN, "seed pass"
)
ANSWERS = Answers("production", RELAY, SHOP, (SEED,))
SPOKEN = Learnt(True, Authentication(AuthResult.PASS, AuthResult.FAIL, AuthResult.ABSENT, "mx.google.com"))


def read(directory: Path, answers: Answers, learnt: Learnt | None = SPOKEN, key: str = SIGNING) -> Policy:
    """Through the disk and the settings, as the daemon gets it."""
    servers = {MailboxName(seed.name): seed.servers[0] for seed in answers.seeds}
    known = None if learnt is None else {MailboxName(seed.name): learnt for seed in answers.seeds}
    loaded = load(lay_out(draft(answers, servers, known, key, writing.DRAFTED), directory), SystemSecrets())
    assert all(rehearse.rehearse(path) == () for path in loaded.policy.paths.values())
    return loaded.policy


def text(answers: Answers, learnt: Learnt | None = SPOKEN) -> str:
    servers = {MailboxName(seed.name): seed.servers[0] for seed in answers.seeds}
    return draft(answers, servers, None if learnt is None else {MailboxName("gmail-1"): learnt}, SIGNING, "secrets").text


# --- what it means ----------------------------------------------------------------------------------------------------


def test_every_answer_is_in_the_policy(tmp_path: Path) -> None:
    policy = read(tmp_path, ANSWERS)
    relay, app = policy.paths[PathName("relay")].via, policy.paths[PathName("app")].via
    assert isinstance(relay, SmtpPath) and isinstance(app, HttpPath)
    assert (relay.host, relay.port, relay.security, relay.username) == ("smtp.shop.example", 587, Security.STARTTLS, "canary")
    assert relay.identity.author == RELAY.author and relay.password is not None and app.url == SHOP.url
    box = policy.mailboxes[MailboxName("gmail-1")]
    assert (box.provider, box.address, box.host, box.port, box.security) == ("gmail", SEED.address, "imap.gmail.com", 993, Security.TLS)
    assert (box.plus_tags, box.authserv_ids, box.login) == (True, ("mx.google.com",), LoginMethod.LOGIN)
    assert policy.environment == "production" and policy.listen.host == "127.0.0.1"
    assert policy.keys.keys[0].secret == SIGNING.encode()
    secrets = SystemSecrets()
    authorization = app.headers["Authorization"]
    assert not isinstance(authorization, str)
    assert [secrets.read(ref) for ref in (relay.password, box.password, authorization)] == ["relay pass", "seed pass", "Bearer: token"]


def test_no_secret_stands_in_the_text(tmp_path: Path) -> None:
    written = text(ANSWERS)
    assert not any(secret in written for secret in ("relay pass", "seed pass", 'token"', "Bearer", SIGNING))
    assert all(source is SecretSource.FILE for source in [read(tmp_path, ANSWERS).mailboxes[MailboxName("gmail-1")].password.source])


def test_every_line_that_is_not_plain_says_why() -> None:
    written = text(ANSWERS)
    assert written.count("#") >= 10 and "\t" not in written and max(map(len, written.splitlines())) <= 150


def test_a_draft_that_is_tried_has_every_carrier_and_trusts_the_topmost(tmp_path: Path) -> None:
    policy = read(tmp_path, ANSWERS, learnt=None)
    assert all(Carrier.PLUS_TAG in path.carriers for path in policy.paths.values())
    assert policy.mailboxes[MailboxName("gmail-1")].authserv_ids == ("*",)
    assert Carrier.PLUS_TAG not in read(tmp_path, ANSWERS).paths[PathName("relay")].carriers


@pytest.mark.parametrize(
    ("learnt", "trusted", "comment"),
    [
        (SPOKEN, ("mx.google.com",), "who said spf=pass dkim=fail of the probe; check that it is your provider"),
        (Learnt(True, UNSAID), (), "the probe that arrived bore no Authentication-Results"),
        (Learnt(True, None), ("mx.google.com",), "as this provider is known to sign; no probe was looked at"),
        (Learnt(True, replace(SPOKEN.said or UNSAID, authserv_id="")), ("*",), "the topmost, which names nobody"),
        (Learnt(True, replace(SPOKEN.said or UNSAID, authserv_id="evil\n: x")), (), "bore no Authentication-Results"),
    ],
)
def test_whose_word_counts(tmp_path: Path, learnt: Learnt, trusted: tuple[str, ...], comment: str) -> None:
    assert read(tmp_path, ANSWERS, learnt).mailboxes[MailboxName("gmail-1")].authserv_ids == trusted
    assert comment in text(ANSWERS, learnt)


def test_a_farm_of_hosts_is_trusted_by_its_pattern(tmp_path: Path) -> None:
    seed = replace(SEED, address=Address.parse("a@yahoo.com"), servers=(Server("imap.mail.yahoo.com", None, Security.TLS),))
    learnt = Learnt(False, replace(SPOKEN.said or UNSAID, authserv_id="atlas-production.v2-mail-prod1-gq1.omega.yahoo.com"))
    box = read(tmp_path, replace(ANSWERS, seeds=(seed,)), learnt).mailboxes[MailboxName("gmail-1")]
    assert (box.authserv_ids, box.plus_tags) == (("*.omega.yahoo.com",), False)


def test_an_unknown_provider_without_a_probe_is_trusted_by_nobody() -> None:
    seed = replace(SEED, address=Address.parse("a@aurora.test"), servers=(Server("imap.aurora.test", None, Security.TLS),))
    assert "# authserv_ids: no probe was looked at; without a name none are believed" in text(replace(ANSWERS, seeds=(seed,)), Learnt())


def test_an_access_token_comes_from_its_program(tmp_path: Path) -> None:
    seed = replace(SEED, login=LoginMethod.XOAUTH2, password='printf "the token"')
    policy = read(tmp_path, replace(ANSWERS, seeds=(seed,)))
    box = policy.mailboxes[MailboxName("gmail-1")]
    assert (box.login, box.password.source, box.password.name) == (LoginMethod.XOAUTH2, SecretSource.COMMAND, "printf 'the token'")


def test_only_the_shop_or_only_the_relay(tmp_path: Path) -> None:
    assert list(read(tmp_path, replace(ANSWERS, relay=None)).paths) == ["app"]
    assert list(read(tmp_path, replace(ANSWERS, shop=None)).paths) == ["relay"]
    quiet = replace(ANSWERS, relay=replace(RELAY, user="", password=""), shop=replace(SHOP, authorization=""))
    relay = read(tmp_path, quiet).paths[PathName("relay")].via
    assert isinstance(relay, SmtpPath) and relay.username is None and relay.password is None


ONE_LINE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=" "), min_size=1, max_size=40).filter(
    lambda value: value == value.strip()
)


@settings(max_examples=60, deadline=None)
@given(user=ONE_LINE, password=ONE_LINE, folder=ONE_LINE, host=st.sampled_from(["1.2.3.4", "::1", "no.example", "on", "null", "true.no"]))
def test_whatever_is_answered_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, user: str, password: str, folder: str, host: str
) -> None:
    relay = replace(RELAY, user=user, password=password, server=Server(host, None, Security.TLS))
    policy = read(tmp_path_factory.mktemp("back"), Answers("no", relay, None, (replace(SEED, spam=folder, password=password),)))
    via, box = policy.paths[PathName("relay")].via, policy.mailboxes[MailboxName("gmail-1")]
    assert isinstance(via, SmtpPath) and via.password is not None
    assert (via.username, via.host, via.port, box.folders.spam, policy.environment) == (user, host, 465, (folder,), "no")
    assert SystemSecrets().read(via.password) == SystemSecrets().read(box.password) == password


# --- where it goes ----------------------------------------------------------------------------------------------------


def made(key: str = SIGNING) -> writing.Draft:
    return draft(ANSWERS, {MailboxName("gmail-1"): SEED.servers[0]}, {}, key, "secrets")


def target(directory: Path, force: bool = False, secrets: str = "secrets") -> Target:
    return Target(directory / "mailcanary.yaml", secrets, force)


def modes(directory: Path) -> dict[str, int]:
    return {at.relative_to(directory).as_posix(): stat.S_IMODE(at.stat().st_mode) for at in directory.rglob("*")}


def test_who_may_read_what(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    before = os.umask(0)
    try:
        target(tmp_path / "here").put(made())
    finally:
        os.umask(before)
    assert modes(tmp_path / "here") == {
        "mailcanary.yaml": 0o644,
        "secrets": 0o700,
        "secrets/app-authorization": 0o600,
        "secrets/gmail-1-password": 0o600,
        "secrets/relay-password": 0o600,
        "secrets/signing-key": 0o600,
    }


def test_nobody_may_read_a_secret_even_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[int] = []
    fchmod = os.fchmod

    def watched(descriptor: int, mode: int) -> None:
        born.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fchmod(descriptor, mode)

    monkeypatch.setattr("monitor.cli.setup.writing.os.fchmod", watched)
    before = os.umask(0)
    try:
        target(tmp_path).put(made())
    finally:
        os.umask(before)
    assert born == [0o600] * 5


def test_secrets_elsewhere(tmp_path: Path) -> None:
    goal = target(tmp_path, secrets=str(tmp_path / "run" / "my secrets"))
    goal.check()
    goal.put(draft(ANSWERS, {MailboxName("gmail-1"): SEED.servers[0]}, {}, SIGNING, goal.secrets))
    assert load(goal.file, SystemSecrets()).policy.keys.keys[0].secret == SIGNING.encode()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    goal = target(tmp_path)
    goal.check()
    goal.put(made())
    with pytest.raises(UsageError, match=r"mailcanary.yaml is there already; give --force to overwrite it, or name another"):
        goal.check()
    goal.file.unlink()
    with pytest.raises(UsageError, match="signing-key is there already"):
        goal.check()
    target(tmp_path, force=True).check()


def test_forced_it_is_replaced_and_the_signing_key_stays(tmp_path: Path) -> None:
    target(tmp_path).put(made())
    goal = target(tmp_path, force=True)
    assert goal.key() == SIGNING, "tokens in flight bear its signature"
    (tmp_path / "secrets" / KEY).write_text("short")
    fresh = goal.key()
    assert len(bytes.fromhex(fresh)) == 32 and fresh != goal.key()
    goal.put(made(fresh))
    assert (tmp_path / "secrets" / KEY).read_text() == fresh + "\n"


@pytest.mark.parametrize("place", ["nowhere/x.yaml", "file/x.yaml", "."])
def test_a_place_that_cannot_be_written_to(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--output "):
        Target(tmp_path / place, "secrets", False).check()


@pytest.mark.parametrize("secrets", ["", " ", "a\nb"])
def test_a_bad_name_for_the_secrets(tmp_path: Path, secrets: str) -> None:
    with pytest.raises(UsageError, match="--secrets: "):
        target(tmp_path, secrets=secrets).check()


def test_no_half_file_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = target(tmp_path, force=True)
    goal.put(made())
    before = goal.file.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monitor.cli.setup.writing.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        goal.put(made("f" * 64))
    assert goal.file.read_text() == before and (tmp_path / "secrets" / KEY).read_text() == SIGNING + "\n"
    assert not list(tmp_path.rglob("*.new"))


def test_no_signal_comes_between_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while they are written is heard when all of them are there."""
    whole = writing._whole

    def interrupted(goal: Path, text: str, mode: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        whole(goal, text, mode)

    monkeypatch.setattr(writing, "_whole", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            target(tmp_path).put(made())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert load(tmp_path / "mailcanary.yaml", SystemSecrets()).policy.environment == "production"


def test_the_workshop_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), target(tmp_path).workshop() as at:
        assert stat.S_IMODE(at.stat().st_mode) == 0o700 and at.parent == tmp_path
        lay_out(made(), at)
        assert {stat.S_IMODE(file.stat().st_mode) for file in at.rglob("*") if file.is_file()} == {0o600}
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
