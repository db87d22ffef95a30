"""What a reader sees of an HTML part, and text in one normal form.

HTML is scanned by one pass of one regular expression that always moves on: `html.parser` needs 43 seconds for 64 KiB of `<a <a <a`
(Python 3.11), and a mailbox is hostile input.

The normal form: Unicode NFKC, ignorable characters dropped, dashes and apostrophes unified, and two kinds of white space: " " where a
reader sees a space, "\\n" where a line, a cell or a column ends. "Qty 1\\n112,30 €" is two numbers, "1 112,30 €" is one.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, field

MAX_TEXT = 256 * 1024  # characters of one part, before and after
MAX_HIDDEN = 64 * 1024
MAX_HOSTS = 50
_MAX_OPEN = 256

# superscripts, fractions, numbers in circles: NFKC would make digits of them, and a footnote mark part of an amount
_MARKS = re.compile(
    "[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u218b\u2460-\u24ff\u2776-\u2793\u3220-\u33ff\U0001f100-\U0001f10c]"
)
_IGNORABLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-") | dict.fromkeys("\u2018\u2019\u02bc\u00b4", "'"))
_PIECE = re.compile(r"\S{1,256}|\s+")  # NFKC sorts combining marks in quadratic time: never give it a long run
_SPACE = re.compile(r"\s+")


def normalise(text: str) -> str:
    """The normal form; at most MAX_TEXT characters. Stable: normalise(normalise(x)) == normalise(x)."""
    text = text[:MAX_TEXT]
    if not text.isascii():
        text = _IGNORABLE.sub("", _MARKS.sub(" ", text))
        text = _compose(text).translate(_DASHES)
    text = _IGNORABLE.sub("", text)
    return _SPACE.sub(_one_space, text).strip()[:MAX_TEXT].rstrip()


def _compose(text: str) -> str:
    """NFKC in pieces, as far as there is room: one character can become eighteen."""
    pieces, room = [], MAX_TEXT
    for match in _PIECE.finditer(text):
        piece = unicodedata.normalize("NFKC", match[0])
        pieces.append(piece)
        room -= len(piece)
        if room <= 0:
            break
    return "".join(pieces)


def _one_space(match: re.Match[str]) -> str:
    run = match[0]
    return " " if len(run) == 1 and run not in "\n\t\r\v\f" else "\n"


@dataclass(slots=True)
class Visible:
    """An HTML part: what it shows, what it hides (comments, hidden elements), and the hosts that its links point to."""

    text: str = ""
    hidden: str = ""
    hosts: tuple[str, ...] = ()


# WHATWG tokenisation, simplified; every alternative that begins also ends, at the end of input if nowhere else
_MARKUP = re.compile(
    r"<!--(?P<comment>.*?)(?:-->|\Z)"
    r"|<(?P<close>/?)(?P<tag>[a-zA-Z][^\s/>]*)(?P<attributes>(?:[^>=]|=\s*\"[^\"]*(?:\"|\Z)|=\s*'[^']*(?:'|\Z)|=)*+)(?:>|\Z)"
    r"|<[!?/][^>]*(?:>|\Z)",
    re.DOTALL,
)
_RAW = {tag: re.compile(f"</{tag}", re.IGNORECASE) for tag in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed")}
_BREAK = re.compile(
    r"address|article|aside|blockquote|br|center|d[dlt]|div|fieldset|figure|footer|form|h[1-6r]|header|li|main|nav|[ou]l|p|pre|section"
    r"|table|tbody|t[dhr]|tfoot|thead"
)
_VOID = re.compile(r"area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
_SELF_CLOSING = re.compile(r"p|li|d[dt]|t[dhr]|option")  # the next of the same kind closes it
_INVISIBLE = re.compile(r"head|template|object|select|datalist|audio|video|svg")
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.0-9]*[1-9])|opacity\s*:\s*0(?![.0-9]*[1-9])", re.IGNORECASE
)
_HIDDEN_ATTRIBUTE = re.compile(r"(?:^|\s)hidden(?=\s|=|/|$)", re.IGNORECASE)
_HOST = re.compile(r"href\s*=\s*[\"']?\s*https?://([A-Za-z0-9.-]{1,253})", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#[0-9]{8,}")  # html.unescape gives up on a number of 4301 digits
_BLANK = re.compile(r"[ \t\r\n\f]+")


@dataclass(slots=True)
class _Scan:
    shown: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    hosts: dict[str, None] = field(default_factory=dict)
    open: list[tuple[str, bool]] = field(default_factory=list)  # (tag, it and all inside is hidden)

    @property
    def hiding(self) -> bool:
        return bool(self.open) and self.open[-1][1]

    def text(self, raw: str) -> None:
        (self.hidden if self.hiding else self.shown).append(_BLANK.sub(" ", html.unescape(_LONG_NUMBER.sub("\ufffd", raw))))

    def start(self, tag: str, attributes: str) -> None:
        if _BREAK.fullmatch(tag):
            self.shown.append("\n")
        if tag == "a" and len(self.hosts) < MAX_HOSTS and (host := _HOST.search(attributes)):
            self.hosts.setdefault(host[1].lower())
        if _VOID.fullmatch(tag):
            return
        if tag == "body":
            self.open.clear()  # whatever the head left open
        if self.open and self.open[-1][0] == tag and _SELF_CLOSING.fullmatch(tag):
            self.open.pop()
        if len(self.open) < _MAX_OPEN:
            hides = bool(_INVISIBLE.fullmatch(tag) or _HIDDEN.search(attributes) or _HIDDEN_ATTRIBUTE.search(attributes))
            self.open.append((tag, self.hiding or hides))

    def end(self, tag: str) -> None:
        if _BREAK.fullmatch(tag):
            self.shown.append("\n")
        for depth in range(len(self.open) - 1, max(-1, len(self.open) - 33), -1):  # a stray end tag closes nothing
            if self.open[depth][0] == tag:
                del self.open[depth:]
                return


def see(source: str) -> Visible:
    """The visible text of an HTML document, in normal form. Linear in the source; never raises."""
    source = source[:MAX_TEXT]
    scan, at = _Scan(), 0
    while markup := _MARKUP.search(source, at):
        scan.text(source[at : markup.start()])
        at = markup.end()
        if markup["comment"] is not None:
            scan.hidden.append(markup["comment"])
        elif tag := (markup["tag"] or "").lower():
            if markup["close"]:
                scan.end(tag)
            else:
                scan.start(tag, markup["attributes"])
                if tag in _RAW:  # its content is no markup
                    ending = _RAW[tag].search(source, at)
                    at = ending.start() if ending else len(source)
    scan.text(source[at:])
    return Visible(normalise("".join(scan.shown)), "\n".join(scan.hidden)[:MAX_HIDDEN], tuple(scan.hosts))


def shows(text: str, value: str) -> bool:
    """`value` stands in the normalised `text` as a word of its own: RF-12 is not in RF-123, RF-12-3 or ARF-12."""
    flat, wanted = text.replace("\n", " "), normalise(value).replace("\n", " ")
    at = flat.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        left = _bounded(wanted[0]) and _goes_on(flat[max(0, at - 2) : at][::-1])
        if not left and not (_bounded(wanted[-1]) and _goes_on(flat[end : end + 2])):
            return True
        at = flat.find(wanted, at + 1)
    return False


def _goes_on(beside: str) -> bool:
    """The two characters beside a word, nearest first, make it part of a longer one."""
    return bool(beside) and (beside[0].isalnum() or beside[0] == "_" or (beside[0] == "-" and beside[1:].isalnum()))


def _bounded(char: str) -> bool:
    """Words that are written without spaces between them (Chinese, Thai, ...) have no boundary to look for."""
    return char.isalnum() and unicodedata.category(char) != "Lo"
