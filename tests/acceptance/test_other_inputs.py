"""The less common ways in, as a configuration names them: a program of the shop's, access tokens that a program prints, our own DKIM
signature. A real `mailcanary run` against a lab that demands them."""

from __future__ import annotations

import sys
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from monitor.lab.configuration import configuration
from monitor.lab.control import LabClient
from tests.acceptance.conftest import PASSWORD, SIGNING_KEY, daemon, lab_process, read_journal, until, write_tree
from tests.ports import free_port

pytestmark = [pytest.mark.timeout(120)]

SEED = "seed1@aurora.test"


def test_program_tokens_and_signature(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "dkim.pem").write_bytes(pem)
    (tmp_path / "key").write_text(SIGNING_KEY)
    with lab_process("--mailboxes", "1", "--smtp-auth", f"shop:{PASSWORD}") as lab:
        tree = configuration(lab.description, tmp_path / "secret", tmp_path / "state", "starttls")
        token = {"command": f"cat '{tmp_path / 'secret'}'"}
        app, bare = tree["paths"]["app"], tree["paths"]["bare-smtp"]
        program = {
            "kind": "command",
            "command": [sys.executable, "-m", "monitor.lab.refund", app["url"]],
            "input": {"key": "{{ probe_id }}", **app["body"]},
            "refund_id": "/refund_id",
            "version": "/version",
            "locales": app["locales"],
            "carriers": app["carriers"],
        }
        bare |= {"login": "xoauth2", "password": token, "dkim": {"selector": "canary", "key": {"file": str(tmp_path / "dkim.pem")}}}
        tree["paths"] = {"program": program, "bare-smtp": bare}
        tree["mailboxes"] = {"aurora-1": tree["mailboxes"]["aurora-1"]}
        tree["mailboxes"]["aurora-1"]["imap"] |= {"login": "xoauth2", "password": token}
        tree["signing"] = {"keys": [{"number": 1, "secret": {"file": str(tmp_path / "key")}}]}
        tree["schedule"] = {"every": "2s", "jitter": "0%"}
        tree["deadlines"] |= {"late": "30s", "missing": "60s", "give_up": "90s", "watch_until": "90s"}
        tree["submission"] |= {"attempt_timeout": "30s", "retry_for": "30s"}
        port = free_port()
        tree["listen"] = {"host": "127.0.0.1", "port": port}
        with daemon(write_tree(tree, tmp_path), port, tmp_path / "log") as running:

            def passed() -> set[str]:
                facts = [row.body for row in read_journal(tmp_path / "state") if row.kind == "judged"]
                assert {fact["verdict"] for fact in facts} <= {"pass"}, facts
                return {fact["route"]["path"] for fact in facts}

            until(lambda: passed() == {"program", "bare-smtp"}, "a probe of each path passes", 60.0)
            assert running.stop() == 0

        async def headers(client: LabClient) -> list[str]:
            return [message["header"] for message in (await client.mailbox(SEED))["folders"]["INBOX"]["messages"]]

        mails = lab.steer(headers)
    versions = {row.body["served_version"] for row in read_journal(tmp_path / "state") if row.kind == "accepted"}
    assert versions == {"v1", ""}, "what the program printed"
    signed = [mail for mail in mails if mail.count("DKIM-Signature:") == 2]  # ours, and the relay's on top
    assert signed and len(signed) < len(mails), "the shop's own mail is the shop's to sign"
    fields = dkim.DKIM(signed[0].encode())
    sig, _, _ = fields.verify_headerprep(1)
    assert (sig[b"d"], sig[b"s"]) == (b"shop.test", b"canary")
    log = (tmp_path / "log").read_text()
    assert PASSWORD not in log and "Traceback" not in log
