"""What the policy says by itself: who may be mailed, and what is never printed."""

from __future__ import annotations

import pytest

from monitor.model.address import Address, NotASeed
from monitor.model.channels import NotifyPolicy
from monitor.model.policy import (
    FolderNames,
    KeyRing,
    ListenPolicy,
    LoginMethod,
    MailboxPolicy,
    Policy,
    RetentionPolicy,
    Role,
    Security,
    SigningKey,
    WatchPolicy,
)
from monitor.model.probe import MailboxName
from monitor.model.secret import SecretRef, SecretSource

PASSWORD = SecretRef(SecretSource.ENV, "PASSWORD")
KEY = SigningKey(1, b"hunter2 hunter2 hunter2")


def mailbox(role: Role) -> MailboxPolicy:
    return MailboxPolicy(
        name=MailboxName(role.value),
        role=role,
        provider="p",
        address=Address.parse(f"{role.value}@example.org"),
        host="imap.example.org",
        port=993,
        security=Security.TLS,
        ca_file=None,
        username="u",
        password=PASSWORD,
        login=LoginMethod.LOGIN,
        folders=FolderNames(),
        authserv_ids=(),
        plus_tags=True,
        clean_up=False,
        clean_up_after=1.0,
        daily_budget=1,
    )


def policy() -> Policy:
    return Policy(
        environment="e",
        instance="i",
        keys=KeyRing((KEY,)),
        state_dir="/s",
        listen=ListenPolicy("::1", 1, {}),
        paths={},
        mailboxes={MailboxName(role.value): mailbox(role) for role in Role},
        routes={},
        watch=WatchPolicy(1, 1, 1, 1, 1, 1),
        retention=RetentionPolicy(1, 1, 1),
        drain=1,
        policy_hash="h",
    )


@pytest.mark.parametrize("role", Role)
def test_only_seeds_are_ever_mailed(role: Role) -> None:
    """Holding mailboxes and tripwires are accounts of ours too, and still no recipients."""
    recipient = Address.parse(f"{role.value}+tag@example.org")
    if role is Role.SEED:
        assert policy().seeds.admit(recipient) == recipient
    else:
        with pytest.raises(NotASeed):
            policy().seeds.admit(recipient)


def test_a_policy_prints_no_secret() -> None:
    assert "hunter2" not in repr(policy())
    assert str(PASSWORD) == "{env: PASSWORD}"


def test_nobody_is_told_by_default() -> None:
    assert (NotifyPolicy().channels, NotifyPolicy().pages, NotifyPolicy().fallback, policy().heartbeat) == ({}, (), (), None)
