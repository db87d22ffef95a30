from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.edge.secret import MAX_BYTES, SystemSecrets
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import SecretError


def env(name: str) -> SecretRef:
    return SecretRef(SecretSource.ENV, name)


def file(path: Path) -> SecretRef:
    return SecretRef(SecretSource.FILE, str(path))


@pytest.mark.parametrize(
    ("kept", "read"),
    [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s\n\n", "s\n"), (" é ", " é "), ("s\r", "s\r")],
)
def test_read(kept: str, read: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(kept.encode())
    assert SystemSecrets().read(file(path)) == read
    assert SystemSecrets({"NAME": kept}).read(env("NAME")) == read


def test_read_anew_at_each_call_and_through_links(tmp_path: Path) -> None:
    """Kubernetes swaps a symbolic link when a secret changes."""
    secrets = SystemSecrets()
    link = tmp_path / "secret"
    for value in ("old", "new"):
        (tmp_path / value).write_text(value)
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / value)
        assert secrets.read(file(link)) == value


def test_the_process_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCANARY_TEST_SECRET", "s3cret")
    assert SystemSecrets().read(env("MAILCANARY_TEST_SECRET")) == "s3cret"


@pytest.mark.parametrize(
    ("environ", "words"),
    [({}, "is not set; set it"), ({"NAME": ""}, "is empty"), ({"NAME": "\n"}, "is empty"), ({"NAME": "s3c\udcffret"}, "UTF-8")],
)
def test_bad_environment(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SecretError, match=words) as caught:
        SystemSecrets(environ).read(env("NAME"))
    assert "{env: NAME}" in str(caught.value)
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\xff", "not UTF-8"),
        (b"s" * (MAX_BYTES + 1), "larger than"),
    ],
    ids=["absent", "empty", "newline", "binary", "large"],  # the path shows the id
)
def test_bad_file(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError, match=words) as caught:
        SystemSecrets().read(file(path))
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SecretError, match="no regular file"):
        SystemSecrets().read(file(tmp_path / "fifo"))


def test_a_directory_and_a_nul(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="Is a directory"):
        SystemSecrets().read(file(tmp_path))
    with pytest.raises(SecretError, match="no file name"):
        SystemSecrets().read(SecretRef(SecretSource.FILE, "a\0b"))
