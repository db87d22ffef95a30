"""A small configuration without faults, and a fake for the secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import SecretError
from monitor.settings import Loaded, SettingsError, load, policies

GOOD = """\
environment: production
instance: canary-1
signing:
  keys:
    - {number: 1, secret: {env: KEY}}
paths:
  relay:
    kind: smtp
    host: smtp.example.com
    author: refunds@example.com
mailboxes:
  gmail-1:
    provider: gmail
    address: a@gmail.com
    imap:
      host: imap.gmail.com
      password: {env: GMAIL}
  fast-1:
    provider: fastmail
    address: b@fastmail.com
    imap:
      host: imap.fastmail.com
      password: {env: FAST}
"""
ENVIRON = {"KEY": "0123456789abcdef", "GMAIL": "gmail-pw", "FAST": "fast-pw"}


class FakeSecrets:
    """ports.Secrets with an environment and files of its own."""

    def __init__(self, environ: Mapping[str, str], contents: Mapping[str, str] | None = None) -> None:
        self.environ = environ
        self.contents = contents or {}

    def read(self, ref: SecretRef) -> str:
        assert ref.source is not SecretSource.COMMAND, "reading the configuration runs no program"
        known = self.environ if ref.source is SecretSource.ENV else self.contents
        if ref.name not in known:
            raise SecretError(
                f"environment variable {ref.name} is not set; set it" if ref.source is SecretSource.ENV else f"no file {ref.name}"
            )
        return known[ref.name]


@pytest.fixture(autouse=True)
def _built_in(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates of our own, so that these tests do not depend on those that are shipped."""
    folder = tmp_path_factory.mktemp("built-in")
    for name in policies.TEMPLATE_FILES:
        (folder / name).write_text(f"built-in {name}\n")
    monkeypatch.setattr(policies, "BUILT_IN", folder)


Read = Callable[..., Loaded]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Load a text as config.yaml."""
    monkeypatch.chdir(tmp_path)

    def call(text: str | bytes, environ: Mapping[str, str] | None = None, contents: Mapping[str, str] | None = None) -> Loaded:
        Path("config.yaml").write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return load(Path("config.yaml"), FakeSecrets(ENVIRON if environ is None else environ, contents))

    return call


@pytest.fixture
def faults(read: Read) -> Callable[..., list[str]]:
    """The lines of complaint about a text; empty when there are none."""

    def call(text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
        try:
            read(text, environ)
        except SettingsError as error:
            assert str(error).split("\n") == [str(fault) for fault in error.faults]
            return str(error).split("\n")
        return []

    return call


def changed(*pairs: tuple[str, str]) -> str:
    """GOOD with pieces replaced; a piece that is not there is a mistake in the test. ("", x) appends x."""
    text = GOOD
    for old, new in pairs:
        if not old:
            text += new
            continue
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
