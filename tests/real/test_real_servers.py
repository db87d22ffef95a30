"""mailcanary against Postfix and Dovecot: `probe` and `run` tell the truth about what real servers do to a mail.

Nothing is timed: what must come is waited for, and what must not have come is asked for only after something that comes later.
"""

from __future__ import annotations

import imaplib
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.real import canary, dovecot, postfix
from tests.real.canary import Daemon, Probe
from tests.real.cases import DOMAIN, FRAIL, HEALTHY, ILL, PASSWORD, UNSEEN, USER, Case, World, account, aliases, mailbox, paths
from tests.real.conftest import GROUPS


def _lacking() -> str:
    """One line: everything that is missing."""
    sieve = None if dovecot.has_sieve() else "the Sieve plugin is not installed (apt-get install dovecot-sieve)"
    lmtp = None if dovecot.has_lmtp() else "dovecot's LMTP server is not installed (apt-get install dovecot-lmtpd)"
    reasons = [postfix.absent(), dovecot.absent(), *([lmtp, sieve] if dovecot.absent() is None else [])]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


LACKING = _lacking()
pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"real servers (Postfix, Dovecot): {LACKING}"),
    pytest.mark.timeout(150),  # the first test waits for the servers and for whatever must be missing
]

EXIT = {"healthy": 0, "ill": 1, "unreachable": 1, "unseen": 3}
BY_GROUP = [pytest.param(group, case, id=case.name) for group, cases in GROUPS.items() for case in cases]


# --- probe --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", list(GROUPS))
def test_probe_exits_with_the_worst_of_its_verdicts(probes: dict[str, Probe], group: str) -> None:
    report = probes[group].report
    assert (probes[group].exit_code, report["schema"]) == (EXIT[group], "mailcanary.probe/v1"), report
    assert report["verdict"] == {0: "pass", 1: "fail", 3: "inconclusive"}[EXIT[group]]
    assert len(report["probes"]) == len(GROUPS[group])


@pytest.mark.parametrize(("group", "case"), BY_GROUP)
def test_probe_tells_what_became_of_the_mail(probes: dict[str, Probe], group: str, case: Case) -> None:
    row = probes[group].row(case.name)
    assert (row["verdict"], row["reason"]) == (case.verdict, case.result), row
    assert [said for said in case.says if said not in row["why"]] == [], row["why"]
    assert {key: row[key] for key in case.row} == dict(case.row), row
    assert [note for note in case.notes if note not in row["notes"]] == [], row["notes"]
    if case.result == "pass":
        assert (row["seen_in"], row["folder"], row["copies"]) == (case.name, "INBOX", 1), row
        assert row["queue_id"] in row["reply"] and row["transit_seconds"] >= 0, row


def test_probe_sends_nothing_where_it_cannot_look(probes: dict[str, Probe], world: World) -> None:
    for case in UNSEEN:
        row = probes["unseen"].row(case.name)
        assert (row["attempts"], row["submitted_at"], world.postfix.asked(account(case.name, "p"))) == (0, None, []), row
        assert row["why"].startswith("nothing was sent"), row


def test_a_greylisted_probe_comes_again_as_the_same_envelope_and_once(probes: dict[str, Probe], world: World) -> None:
    row = probes["healthy"].row("greylisted")
    first, second = world.postfix.asked(account("greylisted", "p"))
    assert first.sender == second.sender and first.probe == row["probe_id"]
    assert (first.action, second.action) == ("450 4.7.1 Greylisted, come again", "DUNNO")


def test_submission_is_encrypted_and_authenticated(probes: dict[str, Probe], world: World) -> None:
    assert probes["healthy"].exit_code == 0
    for name in ("secured", "wrapped"):
        (asked,) = world.postfix.asked(account(name, "p"))
        assert asked.sasl_username == USER and asked.encryption.startswith("TLSv1."), asked
    assert "+" in world.postfix.asked(account("secured", "p"))[0].recipient, "the plus-tag was a carrier here"
    row = probes["healthy"].row("secured")
    assert set(row["carriers"]) == {"header", "plus_tag", "message_id", "body", "refund_number"}, row


def test_check_config_live_says_which_login_does_not_work(probes: dict[str, Probe], configs: dict[str, Path], world: World) -> None:
    assert probes["unseen"].exit_code == 3
    code, document = canary.check_live(configs["unseen"])
    trials = {trial["what"]: trial for trial in document["trials"]}
    assert (code, document["ok"]) == (2, False), document
    assert "AUTHENTICATIONFAILED" in trials["mailbox locked"]["detail"] and not trials["mailbox locked"]["ok"], document
    assert "certificate has expired" in trials["mailbox expired"]["detail"] and not trials["mailbox expired"]["ok"], document
    assert "certificate has expired" in trials["path expired"]["detail"] and not trials["path expired"]["ok"], document
    assert "535 5.7.8" in trials["path barred"]["detail"] and not trials["path barred"]["ok"], document
    assert trials["path submission"]["ok"] and trials["path submissions"]["ok"] and trials["path relay"]["ok"], document
    assert [world.postfix.asked(account(case.name, "p")) for case in UNSEEN] == [[], []]


def test_mail_released_from_the_hold_queue_does_not_confuse_the_next_probe(
    probes: dict[str, Probe], configs: dict[str, Path], world: World
) -> None:
    """What was missing arrives shortly before the next probe, which passes, as one copy."""
    missed, address = probes["ill"].row("held"), account("held", "p")
    assert world.postfix.held(address) == {missed["queue_id"]: missed["probe_id"]}
    world.postfix.treat(address, None)
    world.postfix.release([missed["queue_id"]])
    again = Probe(configs["ill"], configs["ill"].parent / "one-shot", "--mailbox", "held")
    row = again.row("held")
    assert (again.exit_code, row["verdict"], row["copies"], len(again.report["probes"])) == (0, "pass", 1, 1), again.report
    assert row["probe_id"] != missed["probe_id"]
    assert len(letters(world.dovecot, address)) == 2


def test_a_server_that_goes_down_while_probe_waits(world: World, tmp_path: Path) -> None:
    """The relay has taken the mail, its mailbox goes dark; when the server is back, so is the mail: pass."""
    address = account("brave", "p").replace(DOMAIN, FRAIL)
    world.frail.add_user(address, PASSWORD)
    world.postfix.treat(address, "HOLD")
    boxes = {"brave": mailbox(world, "brave", "p", domain=FRAIL)}
    config = canary.write(tmp_path, "one-shot-brave", paths(world, "p"), boxes, [{"path": "relay", "mailbox": "brave"}], 1)
    probe = Probe(config, tmp_path / "one-shot")
    try:
        canary.until(lambda: world.postfix.held(address), "the relay takes the probe")
        world.frail.stop()
        world.postfix.release(world.postfix.held(address))
        world.frail.start()
        row = probe.row("brave")
    finally:
        probe.kill()
    assert (probe.exit_code, row["verdict"], row["seen_in"], row["attempts"], row["copies"]) == (0, "pass", "brave", 1, 1), row


def test_nothing_that_probe_watched_is_marked_as_read(probes: dict[str, Probe], world: World) -> None:
    assert [probes[group].exit_code for group in ("healthy", "ill")] == [0, 1]
    for name, folder in READ:
        found = letters(world.dovecot, account(name, "p"), folder)
        assert found and [flags for flags, _ in found.values() if "\\seen" in flags] == [], (name, found)


# --- run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in HEALTHY + ILL + UNSEEN])
def test_run_tells_what_became_of_the_mail(daemon: Daemon, case: Case) -> None:
    line = daemon.judged(case.name, case.result)
    assert [said for said in case.says if said not in line["msg"]] == [], line
    route = daemon.route(case.name)
    assert (route["verdict"], route["reason"]) == (case.verdict, case.result), route
    assert daemon.metric("mailcanary_probe_results_total", route=f"{case.path}/{case.name}") > 0
    others = {told["result"] for told in daemon.told("judged") if told["route"].endswith(f"/{case.name}")} - {case.result}
    assert others <= ({"pass"} if case.result == "duplicate" else set()), "a first copy may be judged before the second is there"


def test_run_says_which_mailboxes_it_cannot_see_and_why(daemon: Daemon) -> None:
    for case in UNSEEN:
        daemon.judged(case.name, case.result)
        box = daemon.mailbox(case.name)
        assert box["state"] == "blind" and box["mend"], box
        assert case.says[1] in box["why"], box
        assert daemon.metric("mailcanary_mailbox_watching", mailbox=case.name) == 0
    watched = [box["mailbox"] for box in daemon.status()["mailboxes"] if box["state"] == "watching"]
    assert {case.name for case in HEALTHY + ILL} <= set(watched)


def test_run_follows_a_relay_that_changes_its_mind(daemon: Daemon, world: World) -> None:
    """Refused, and healed; then one flipped line in the alias table, and rolled back."""
    address, lawful = account("turning", "r"), aliases(ILL, "p", "r")
    daemon.judged("turning", "pass")
    mark = daemon.mark
    world.postfix.treat(address, "REJECT go away")
    assert "go away" in daemon.judged("turning", "rejected", mark)["msg"]
    mark = daemon.mark
    world.postfix.treat(address, None)
    daemon.judged("turning", "pass", mark)
    mark = daemon.mark
    world.postfix.alias(lawful | {address: account("store", "r")})
    assert "INBOX of mailbox store" in daemon.judged("turning", "misrouted", mark)["msg"]
    mark = daemon.mark
    world.postfix.alias(lawful)
    daemon.judged("turning", "pass", mark)


def test_held_mail_that_is_released_is_late_and_nothing_else(daemon: Daemon, world: World) -> None:
    address = account("held", "r")
    daemon.judged("held", "missing")
    world.postfix.treat(address, None)
    held = world.postfix.held(address)
    released = {probe for probe in held.values() if daemon.judged("held", "missing", probe=probe)}
    mark = daemon.mark
    world.postfix.release(held)
    for probe in released:
        line = daemon.judged("held", "late", probe=probe)
        assert "(revision 1)" in line["msg"] and "arrived in INBOX" in line["msg"], line
    daemon.judged("held", "pass", mark)  # read on beyond what was released
    later = [line for line in daemon.lines[mark:] if line.get("probe_id") in released and line["event"] == "judged"]
    assert {line["result"] for line in later} == {"late"} and len(later) == len(released), later
    assert daemon.metric("mailcanary_strays_total", mailbox="held") == 0 and daemon.told("stray", "held") == []
    assert daemon.metric("mailcanary_foreign_tokens_total") == 0
    for series in ("mailcanary_probe_results_total", "mailcanary_probe_revisions_total"):
        assert daemon.metric(series, route="relay/held", result="duplicate") == 0


def test_a_server_that_is_stopped_during_idle_and_started_again(daemon: Daemon, world: World) -> None:
    """Blind, restored; and what the relay took meanwhile passes when it arrives."""
    address = account("frail", "r").replace(DOMAIN, FRAIL)
    daemon.judged("frail", "pass")
    mark = daemon.mark
    world.frail.stop()
    try:
        daemon.wait(lambda line: line["event"] == "watch_blind" and line["mailbox"] == "frail", mark, "blindness")
        before = len(world.postfix.asked(address))
        canary.until(lambda: len(world.postfix.asked(address)) > before, "a probe to the mailbox that is down")
        assert daemon.mailbox("frail")["state"] == "blind"
    finally:
        world.frail.start()
    daemon.wait(lambda line: line["event"] == "watch_restored" and line["mailbox"] == "frail", mark, "sight")
    daemon.judged("frail", "pass", mark, world.postfix.asked(address)[before].probe)
    results = {line["result"] for line in daemon.lines[mark:] if line["event"] == "judged" and line["route"] == "relay/frail"}
    assert results == {"pass"}
    assert {line["mailbox"] for line in daemon.told("watch_blind")} == {"frail", *(case.name for case in UNSEEN)}


def test_clean_up_deletes_our_judged_probes_and_nothing_else(daemon: Daemon, probes: dict[str, Probe], world: World) -> None:
    """Left alone: a newsletter, a flagged and read mail, a true refund mail, another instance's probe, and all of Junk."""
    assert probes["healthy"].exit_code == 0
    address = account("cleaned", "r")
    with imaplib.IMAP4("127.0.0.1", world.dovecot.imap) as client:
        client.login(address, PASSWORD)
        planted = {
            append(client, "INBOX", "", letter("Our autumn sale")),
            append(client, "INBOX", r"\Flagged \Seen", letter("Lunch?")),
            append(client, "INBOX", r"\Answered", letter("Your refund", f"refunds@{DOMAIN}", "We refunded £12.30 for order 123-4567890.")),
            append(client, "INBOX", "", body(world.dovecot, account("vouched", "p"))),
        }
        append(client, "Junk", r"\Flagged", letter("You have won"))
    junk = letters(world.dovecot, address, "Junk")
    before = letters(world.dovecot, address)
    ours = before.keys() - planted
    assert planted <= before.keys()
    mark = daemon.mark
    for _ in range(2):  # at least one probe that was not yet there
        mark = daemon.mark
        daemon.judged("cleaned", "pass", mark)
    ours |= letters(world.dovecot, address).keys() - planted
    assert ours
    canary.until(lambda: not ours & letters(world.dovecot, address).keys(), "our probes are deleted")
    after = letters(world.dovecot, address)
    assert {uid: after.get(uid) for uid in planted} == {uid: before[uid] for uid in planted}
    assert letters(world.dovecot, address, "Junk") == junk
    assert daemon.metric("mailcanary_strays_total", mailbox="cleaned") == 1 and len(daemon.told("stray", "cleaned")) == 1
    assert daemon.metric("mailcanary_foreign_tokens_total", kind="instance") == daemon.metric("mailcanary_foreign_tokens_total") == 1
    assert len(letters(world.dovecot, account("turning", "r"))) > 1, "elsewhere they have not aged yet"


def test_nothing_that_run_watched_is_marked_as_read(daemon: Daemon, world: World) -> None:
    for name, folder in (*READ, ("turning", "INBOX")):
        found = letters(world.dovecot, account(name, "r"), folder)
        assert found and [flags for flags, _ in found.values() if "\\seen" in flags] == [], (name, found)


def test_run_goes_on_when_nobody_reads_its_log_any_more(world: World, tmp_path: Path) -> None:
    """The pipe is closed, as by a log collector that died: probes go on, and SIGTERM is obeyed."""
    address, port = account("unread", "r"), free_port()
    world.dovecot.add_user(address, PASSWORD)
    ways = [{"path": "relay", "mailbox": "unread", "every": "500ms", "jitter": "0%"}]
    config = canary.write(tmp_path, "unread", paths(world, "r"), {"unread": mailbox(world, "unread", "r")}, ways, port)
    words = canary.command("run", "--config", str(config), "--log-format", "json")
    process = subprocess.Popen(words, cwd=canary.ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("listening" in line for line in process.stderr)
        process.stderr.close()
        before = len(world.postfix.asked(address))
        canary.until(lambda: len(world.postfix.asked(address)) > before + 2, "probes go on")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_run_ends_in_peace(daemon: Daemon) -> None:
    """Last: SIGTERM. Nothing was printed but log lines, and no fault was our own."""
    assert daemon.stop() == 0, daemon.lines[-5:]
    assert daemon.odd == []
    assert [line for line in daemon.lines if line["event"] == "internal" or line.get("result") in ("internal", "overloaded")] == []


# --- looking into a mailbox without mailcanary ----------------------------------------------------------------------

READ = (
    ("vouched", "INBOX"),
    ("greylisted", "INBOX"),
    ("twice", "INBOX"),
    ("junked", "Junk"),
    ("sorted", "Refunds"),
    ("store", "INBOX"),
    ("neighbour", "INBOX"),
)


def letters(server: dovecot.Dovecot, address: str, folder: str = "INBOX") -> dict[int, tuple[frozenset[str], str]]:
    """UID -> flags and Message-ID, read by the standard library's client, without a trace."""
    found = {}
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login(address, PASSWORD)
        client.select(f'"{folder}"', readonly=True)
        _, answer = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        for part in answer:
            if isinstance(part, tuple):
                uid, flags = re.search(rb"UID (\d+)", part[0]), re.search(rb"FLAGS \(([^)]*)\)", part[0])
                assert uid and flags, part
                found[int(uid[1])] = (frozenset(flags[1].decode().lower().split()) - {"\\recent"}, part[1].decode().strip())
    return found


def body(server: dovecot.Dovecot, address: str) -> bytes:
    """The first mail in INBOX, to the byte."""
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login(address, PASSWORD)
        client.select("INBOX", readonly=True)
        _, answer = client.fetch("1", "(BODY.PEEK[])")
        part = answer[0]
        assert isinstance(part, tuple)
        return bytes(part[1])


def append(client: imaplib.IMAP4, folder: str, flags: str, raw: bytes) -> int:
    """Plant a mail; its UID."""
    kind, said = client.append(folder, f"({flags})", imaplib.Time2Internaldate(time.time()), raw)
    uid = re.search(rb"APPENDUID \d+ (\d+)", said[0])
    assert kind == "OK" and uid, said
    return int(uid[1])


def letter(subject: str, author: str = "friend@elsewhere.test", text: str = "Nothing special.") -> bytes:
    head = f"From: {author}\r\nTo: you@{DOMAIN}\r\nSubject: {subject}\r\nMessage-ID: <{len(subject)}@elsewhere.test>\r\n"
    return f"{head}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
