"""What the configuration points to: secrets, PEM files, templates, programs. Each is looked at now, so that it does not fail at night."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import SecretError, Secrets
from monitor.settings.addresses import hidden_url
from monitor.settings.faults import KeyPath
from monitor.settings.report import Report

MAX_FILE = 1 << 20


class Pointed:
    """Resolves the names in one file, which are relative to it; faults go to the report."""

    def __init__(self, base: Path, secrets: Secrets, report: Report) -> None:
        self._base = base
        self._secrets = secrets
        self._report = report
        self._values: dict[SecretRef, str | SecretError] = {}

    def absolute(self, name: str) -> Path:
        """A path in the file is relative to the file."""
        return self._base / name

    def secret(self, ref: SecretRef | None, at: KeyPath) -> SecretRef | None:
        """The reference, resolved, after a look whether there is a usable value. A program is looked for, not run: tokens do not keep."""
        if ref is None:
            return None
        if ref.source is SecretSource.COMMAND:
            program, *arguments = shlex.split(ref.name)
            return SecretRef(ref.source, shlex.join([self.program(program, at), *arguments]))
        ref = self._resolve(ref)
        value = self._value(ref)
        if isinstance(value, SecretError):
            what, _, mend = str(value).partition("; ")
            self._report.fault(at, what, mend)
        elif not value:
            self._report.fault(at, f"secret {ref} is empty", "put the value there")
        elif any(ord(c) < 32 or ord(c) == 127 for c in value):
            self._report.fault(at, f"secret {ref} holds a line break or control character", "store one line of text")
        return ref

    def value(self, ref: SecretRef) -> str | None:
        """What the secret is now; None when it cannot be read, which `secret` has reported."""
        value = self._value(self._resolve(ref))
        return value if isinstance(value, str) else None

    def url(self, url: str | SecretRef, at: KeyPath) -> str | SecretRef:
        """A URL that may be a secret."""
        if isinstance(url, str):
            return url
        ref = self.secret(url, at) or url
        value = self.value(url)
        wrong = hidden_url(value) if value else None
        if wrong is not None:
            self._report.fault(at, f"secret {ref} {wrong[0]}", wrong[1])
        return ref

    def key(self, ref: SecretRef, at: KeyPath) -> SecretRef:
        """A private key in a PEM file."""
        name = ref.name
        text = self.read(name, at)
        if text is not None and "PRIVATE KEY-----" not in text:
            self._report.fault(at, f"{self.absolute(name)} holds no PEM private key", "make one with: openssl genrsa -out dkim.pem 2048")
        elif text is not None and "ENCRYPTED" in text:
            self._report.fault(at, f"{self.absolute(name)} is encrypted", "take the passphrase off: openssl rsa -in old.pem -out dkim.pem")
        return self._resolve(ref)

    def ca_file(self, name: str | None, at: KeyPath) -> str | None:
        if name is None:
            return None
        text = self.read(name, at)
        if text is not None and "-----BEGIN CERTIFICATE-----" not in text:
            self._report.fault(at, f"{self.absolute(name)} holds no PEM certificate", "name a file with -----BEGIN CERTIFICATE-----")
        return str(self.absolute(name))

    def program(self, name: str, at: KeyPath) -> str:
        """A program: one with a / is relative to the file, any other is looked for in PATH, now and again when it runs."""
        where = str(self.absolute(name)) if "/" in name else name
        if shutil.which(where) is None:
            what = "is no program that can be run" if "/" in name else "is no program in PATH"  # unnamed: it may be a secret gone astray
            self._report.fault(at, what, "mend its name or its permissions; one with a / is relative to this file")
        return where

    def read(self, name: str, at: KeyPath) -> str | None:
        """The text of a file that the configuration names."""
        file = self.absolute(name)
        try:
            with file.open("rb") as stream:
                blob = stream.read(MAX_FILE + 1)
            if len(blob) > MAX_FILE:
                self._report.fault(at, f"{file} is larger than {MAX_FILE >> 20} MiB", "is this the right file?")
                return None
            return blob.decode("utf-8-sig")
        except OSError as error:
            self._report.fault(at, f"{file} cannot be read ({error.strerror})", "mend the name; it is relative to this file")
        except UnicodeDecodeError:
            self._report.fault(at, f"{file} is not UTF-8", "save it as UTF-8")
        return None

    def _resolve(self, ref: SecretRef) -> SecretRef:
        return SecretRef(ref.source, str(self.absolute(ref.name))) if ref.source is SecretSource.FILE else ref

    def _value(self, ref: SecretRef) -> str | SecretError:
        if ref not in self._values:
            try:
                self._values[ref] = self._secrets.read(ref)
            except SecretError as error:
                self._values[ref] = error
        return self._values[ref]
