"""The lab's mailbox providers: their folder names, and the style in which they write Authentication-Results."""

from dataclasses import dataclass
from enum import Enum


class AuthStyle(Enum):
    """How a receiver lays out its results; RFC 8601 leaves order, folding and comments free."""

    FOLDED = "folded"  # one header, a method a line
    SEPARATE = "separate"  # one header per method, trailing semicolon
    COMMENTED = "commented"  # other order, version after the authserv-id, comments with numbers in them


@dataclass(frozen=True, slots=True)
class FolderSpec:
    """A folder that each account of the provider is born with; attributes as in RFC 6154 and RFC 3501 section 7.2.2."""

    name: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A mailbox provider. With special_use False it neither announces nor lists RFC 6154 attributes: names must do."""

    domain: str
    junk: str
    other: str
    folders: tuple[FolderSpec, ...]
    delimiter: str = "/"
    special_use: bool = True
    auth_style: AuthStyle = AuthStyle.FOLDED
    extra_domains: tuple[str, ...] = ()

    @property
    def authserv_id(self) -> str:
        """The name under which this receiver writes Authentication-Results (RFC 8601 section 2.5)."""
        return f"mx.{self.domain}"


AURORA = Provider(
    domain="aurora.test",
    junk="Junk",
    other="Archive",
    folders=(
        FolderSpec("INBOX"),
        FolderSpec("Archive", ("\\Archive",)),
        FolderSpec("Drafts", ("\\Drafts",)),
        FolderSpec("Junk", ("\\Junk",)),
        FolderSpec("Sent", ("\\Sent",)),
        FolderSpec("Trash", ("\\Trash",)),
        FolderSpec("[Aurora]", ("\\Noselect",)),
        FolderSpec('[Aurora]/Offers "of the day"'),
    ),
)

BOREALIS = Provider(
    domain="borealis.test",
    junk="Spam",
    other="Archive",
    delimiter=".",
    special_use=False,
    auth_style=AuthStyle.SEPARATE,
    folders=(
        FolderSpec("INBOX"),
        FolderSpec("Archive"),
        FolderSpec("Spam"),
        FolderSpec("Trash"),
        FolderSpec("Shopping", ("\\Noselect",)),
        FolderSpec("Shopping.Receipts"),
    ),
)

CUMULUS = Provider(
    domain="cumulus.test",
    junk="Junk E-mail",
    other="Archiv",
    auth_style=AuthStyle.COMMENTED,
    folders=(
        FolderSpec("INBOX"),
        FolderSpec("Archiv", ("\\Archive",)),
        FolderSpec("Entwürfe", ("\\Drafts",)),
        FolderSpec("Gelöschte Elemente", ("\\Trash",)),
        FolderSpec("Junk E-mail", ("\\Junk",)),
        FolderSpec("Rechnungen & Käufe"),
        FolderSpec("Public", ("\\Noselect",)),
    ),
)

DEFAULT_PROVIDERS = (AURORA, BOREALIS, CUMULUS)

SHOP = Provider(
    domain="shop.test",
    junk="Junk",
    other="Archive",
    extra_domains=("store.shop.test",),
    folders=(
        FolderSpec("INBOX"),
        FolderSpec("Archive", ("\\Archive",)),
        FolderSpec("Junk", ("\\Junk",)),
        FolderSpec("Trash", ("\\Trash",)),
    ),
)
