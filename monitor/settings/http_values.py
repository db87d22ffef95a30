"""Values with a grammar of their own: what the application is asked, and the print of money."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from monitor.model.secret import SecretRef
from monitor.settings.document import NOTHING, Plain
from monitor.settings.faults import KeyPath
from monitor.settings.scalars import Scalar, Secret, TextScalar, refuse

_NUMBERLIKE = re.compile(r"[-+]?\.?[0-9][0-9_:.,+eExXoOaAbBcCdDfFTZ-]*|[-+]?\.(inf|nan)", re.IGNORECASE)
_BOOLEAN = {"y", "yes", "n", "no", "on", "off", "true", "false", "null"}
_SECRET_VARIABLE = re.compile(r"(passw(or)?d|passphrase|secret|credentials?|token|authorization|api_?key|private_?key)\Z", re.IGNORECASE)
_ALWAYS_SECRET = {"authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"}


@dataclass(frozen=True)
class Matching(Scalar):
    """Text of a fixed form."""

    pattern: str
    what: str
    mend: str

    def parse(self, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            refuse(f"is {self.what}", self.mend)
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^({self.pattern})$"}


@dataclass(frozen=True)
class Mark(Scalar):
    """One punctuation mark."""

    of: str
    empty: bool = False

    def parse(self, value: object) -> object:
        if not isinstance(value, str) or not ((value in self.of and len(value) == 1) or (self.empty and value == "")):
            refuse("is no such mark", 'write one mark in quotes, like "," or "."')
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.of, *([""] if self.empty else [])]}


@dataclass(frozen=True)
class AmountText(Scalar):
    """Text around {amount}."""

    def parse(self, value: object) -> object:
        text = TextScalar(40).parse(value)
        assert isinstance(text, str)  # noqa: S101 - parse returns text
        if text.count("{amount}") != 1 or "{" in text.replace("{amount}", "") or "}" in text.replace("{amount}", ""):
            refuse("does not say where the digits stand", 'write {amount} once, like "£{amount}"')
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[^{}]*\{amount\}[^{}]*$"}


@dataclass(frozen=True)
class HeaderValue(Scalar):
    """Text, or a reference to a secret."""

    def parse(self, value: object) -> object:
        return Secret().parse(value) if isinstance(value, (dict, SecretRef)) else TextScalar(4096).parse(value)

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [TextScalar(4096).schema(), *Secret().schema()["oneOf"]]}


@dataclass(frozen=True)
class Body(Scalar):
    """A JSON value. Unquoted text that another YAML reader takes for a number, date or boolean is refused: JSON tells them apart."""

    null: ClassVar[bool] = True

    def parse(self, value: object) -> object:
        return self._json(value, ())

    def _json(self, value: object, at: KeyPath) -> object:
        if isinstance(value, dict):
            return {key: self._json(member, (*at, key)) for key, member in value.items()}
        if isinstance(value, list):
            return [self._json(member, (*at, index)) for index, member in enumerate(value)]
        if isinstance(value, Plain) and (_NUMBERLIKE.fullmatch(value) or value.lower() in _BOOLEAN):
            refuse("may be text, number, date or boolean", "put text in quotes, or write true, false, null, 12 or 1.5", at)
        if value is NOTHING:
            return None
        return str(value) if isinstance(value, str) else value

    def schema(self) -> dict[str, Any]:
        return {}


def must_be_secret(header: str) -> bool:
    """Is a header of this name a credential by itself?"""
    return header.lower() in _ALWAYS_SECRET


def must_be_hidden(variable: str) -> bool:
    """Does the name of an environment variable say that it holds a credential?"""
    return _SECRET_VARIABLE.search(variable) is not None


HeaderName = Annotated[str, Matching("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "no header name", "write a name like X-Request-Source")]
VariableName = Annotated[str, Matching("[A-Za-z_][A-Za-z0-9_]{0,127}", "no name of an environment variable", "use letters, digits and _")]
Header = Annotated[str | SecretRef, HeaderValue()]
