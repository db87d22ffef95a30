"""CSV, JSON and log lines as people and programs write them, one trap each."""

from __future__ import annotations

import json
import random

import pytest

from monitor.edge.sources.cutting import CHUNK, FAULTS, ROWS, Cut, Cutter, LogCutter, Skip, Uncuttable, cut
from monitor.edge.sources.encoding import as_utf8, encoding_of, length_in
from monitor.edge.sources.formats import format_of
from monitor.edge.sources.objects import COLUMNS, object_cutter
from monitor.edge.sources.tables import LINES, TableCutter, table_cutter
from monitor.model.ledger import Lines, Table
from monitor.model.sources import FileFormat

H = "refund,amount,currency\n"


def table(text: str | bytes, delimiter: str = "") -> tuple[TableCutter, Cut]:
    raw = text.encode() if isinstance(text, str) else text
    cutter = table_cutter(raw, delimiter, True)
    assert cutter
    return cutter, cut(cutter, raw[cutter.start :], cutter.line, Skip.NOTHING, True)


def objects(text: str | bytes, final: bool = True) -> Cut:
    raw = text.encode() if isinstance(text, str) else text
    cutter = object_cutter(raw)
    assert cutter
    return cut(cutter, raw[cutter.start :], cutter.line, Skip.NOTHING, final)


def said(found: Cut) -> tuple[list[list[object]], list[int], list[tuple[int, str]]]:
    assert isinstance(found.content, Table)
    return [list(row) for row in found.content.rows], list(found.content.lines), [(fault.line, fault.what) for fault in found.faults]


A, B = ["R-1", "1.00", "EUR"], ["R-2", "2.00", "EUR"]
WIDE = "has 4 fields, the header has 3"
UNCLOSED = "a quote is opened and not closed"
BEHIND = "something stands behind a closing quote"

TABLES = {
    "plain": (H + "R-1,1.00,EUR\nR-2,2.00,EUR\n", [A, B], [2, 3], []),
    "no line end at the end": (H + "R-1,1.00,EUR\nR-2,2.00,EUR", [A, B], [2, 3], []),
    "carriage returns": (H.replace("\n", "\r\n") + "R-1,1.00,EUR\r\nR-2,2.00,EUR\r\n", [A, B], [2, 3], []),
    "carriage returns only": (H.replace("\n", "\r") + "R-1,1.00,EUR\rR-2,2.00,EUR\r", [A, B], [2, 3], []),
    "empty lines": ("\n\n" + H + "\n\nR-1,1.00,EUR\n\n,,\nR-2,2.00,EUR\n\n", [A, B], [6, 9], []),
    "a quoted delimiter, quote and line end": (H + '"R,1","a""b\nc",EUR\nR-2,2.00,EUR\n', [["R,1", 'a"b\nc', "EUR"], B], [2, 4], []),
    "too many": (H + "R-1,1,00,EUR\nR-2,2.00,EUR\n", [B], [3], [(2, WIDE)]),
    "too few": (H + "R-1\nR-2,2.00,EUR\n", [B], [3], [(2, "has 1 field, the header has 3")]),
    "a header in the middle": (H + "R-1,1.00,EUR\n" + H + "R-2,2.00,EUR\n", [A, B], [2, 4], []),
    "a header with a mark in the middle": (H + "R-1,1.00,EUR\n\ufeff" + H + "R-2,2.00,EUR\n", [A, B], [2, 4], []),
    "a row that resembles the header": (H + "refund,amount,EUR\n", [["refund", "amount", "EUR"]], [2], []),
    "an unclosed quote": (H + 'R-1,"1.00,EUR\nR-2,2.00,EUR\n', [B], [3], [(2, UNCLOSED)]),
    "an unclosed quote that another one closes": (H + '"R-1,1.00,EUR\n"R-2",2.00,EUR\n', [B], [3], [(2, BEHIND)]),
    "an unclosed quote that makes a row of two": (H + 'R-1,"1.00,EUR\nR-2,2.00",EUR,x\n', [], [], [(2, WIDE), (3, WIDE)]),
    "behind a closing quote": (H + '"R-1"x,1.00,EUR\nR-2,2.00,EUR\n', [B], [3], [(2, BEHIND)]),
    "a quote within a field": (H + 'R-1,1"00,EUR\nR-2,2.00,EUR\n', [["R-1", '1"00', "EUR"], B], [2, 3], []),
    "nul": (H + "R-\x001,1.00,EUR\n", [["R-\x001", "1.00", "EUR"]], [2], []),
    "odd separators are text": (H + "R\x0b\x0c\x1c\x85\u20281,1.00,EUR\n", [["R\x0b\x0c\x1c\x85\u20281", "1.00", "EUR"]], [2], []),
    "mixed encodings": (H.encode() + b"R-\xfc,1.00,EUR\nR-2,2.00,EUR\n", [["R-\udcfc", "1.00", "EUR"], B], [2, 3], []),
    "a long field": (H + f"{'x' * 140_000},1.00,EUR\nR-2,2.00,EUR\n", [B], [3], [(2, "a field is longer than 131072 characters")]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    text, rows, lines, faults = TABLES[name]
    _, found = table(text)
    assert said(found) == (rows, lines, faults)


@pytest.mark.parametrize(("inner", "whole"), [(LINES - 1, True), (LINES, False)])
def test_a_record_has_a_bounded_number_of_lines(inner: int, whole: bool) -> None:
    _, found = table(H + '"' + "\n" * inner + '",1.00,EUR\nR-2,2.00,EUR\n')
    rows, lines, faults = said(found)
    assert rows[-1] == B and lines[-1] == inner + 3
    assert (len(rows) == 2 and not faults) if whole else faults[0] == (2, f"{UNCLOSED} within {LINES} lines")


@pytest.mark.parametrize(
    ("text", "delimiter", "columns"),
    [
        ("refund,amount\nx", ",", ("refund", "amount")),
        ("refund;amount;net,gross\nx", ";", ("refund", "amount", "net,gross")),
        ("refund\tamount\nx", "\t", ("refund", "amount")),
        ("refund|amount|a,b\nx", "|", ("refund", "amount", "a,b")),
        ('"a;b;c;d",refund,amount\nx', ",", ("a;b;c;d", "refund", "amount")),
        ("refund\nx", ",", ("refund",)),
        ("\ufeff refund , amount \nx", ",", ("refund", "amount")),
        ('"refund","of\nwhom"\nx', ",", ("refund", "of\nwhom")),
    ],
)
def test_the_delimiter_is_found_out_from_the_header(text: str, delimiter: str, columns: tuple[str, ...]) -> None:
    cutter = table_cutter(text.encode(), "", True)
    assert cutter and (cutter.delimiter, cutter.columns) == (delimiter, columns)
    assert text.encode()[cutter.start :] == b"x" and cutter.line == 1 + text.count("\n")


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=; \n", "sep=;\r"])
def test_a_first_line_may_name_the_delimiter(first: str) -> None:
    text = first + "refund;amount, gross, net\nR-1;1,00"
    cutter, found = table(text)
    assert (cutter.delimiter, cutter.columns, cutter.line) == (";", ("refund", "amount, gross, net"), 3)
    assert cutter.start == len(text.encode()) - len("R-1;1,00") and said(found) == ([["R-1", "1,00"]], [3], [])
    assert table_cutter(first.encode(), "", False) is None, "its header is still to come"


@pytest.mark.parametrize("text", ["sep=;x;y\n1;2;3\n", "sep=\n1\n", "sep=a,b\n1,2\n", "a,b\nsep=;\n1,2\n"])
def test_what_only_resembles_it_is_a_header_or_a_row(text: str) -> None:
    assert table(text)[0].line == 2


def test_a_given_delimiter_is_kept_to_beside_a_first_line_that_names_one() -> None:
    cutter, found = table("sep=,\na,b;c\n1,2;3\n", ";")
    assert cutter.columns == ("a,b", "c") and said(found)[0] == [["1,2", "3"]]


def test_a_given_delimiter_is_kept_to() -> None:
    cutter, found = table("a,b;c\n1,2;3\n", ";")
    assert cutter.columns == ("a,b", "c") and said(found)[0] == [["1,2", "3"]]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-8"])
def test_encodings_with_a_mark(codec: str) -> None:
    text = "\ufeff" + H + "R-\u20ac,1.00,EUR\n\U0001f600,2.00,EUR\n"
    raw = text.encode(codec)
    cutter, found = table(raw)
    assert cutter.columns == ("refund", "amount", "currency") and cutter.start == len(("\ufeff" + H).encode(codec))
    assert [row[0] for row in said(found)[0]] == ["R-\u20ac", "\U0001f600"] and found.taken == len(raw) - cutter.start
    assert said(objects(('\ufeff{"a": "\u20ac"}\n').encode(codec)))[0] == [["\u20ac"]]


def test_half_a_pair_of_utf_16_spoils_its_row_visibly() -> None:
    _, found = table(
        "\ufeff".encode("utf-16-le") + H.encode("utf-16-le") + b"R\x00\x00\xd8" + ",1.00,EUR\nR-2,2.00,EUR\n".encode("utf-16-le")
    )
    spoilt, good = said(found)[0]
    assert good == B and any("\ud800" <= char <= "\udfff" for char in str(spoilt[0]))


def test_lengths_are_led_back_exactly() -> None:
    draw = random.Random(7)
    for _ in range(300):
        raw = draw.randbytes(draw.randrange(60)) + "\u20ac\U0001f600\n".encode("utf-16-le") * draw.randrange(2)
        for codec in ("utf-16-le", "utf-16-be", "utf-8"):
            assert length_in(codec, as_utf8(raw, codec)) == (len(raw) if codec == "utf-8" else len(raw) // 2 * 2)
    assert encoding_of(b"") == ("utf-8", 0)


@pytest.mark.parametrize("text", ["", "\n", "\n , \n", "refund,amount", 'refund,"amo\n'])
def test_a_header_that_is_not_complete_is_waited_for(text: str) -> None:
    assert table_cutter(text.encode(), "", False) is None


def test_a_header_that_cannot_be_read() -> None:
    for text in ('"refund"x,amount\nR-1,1\n', '"refund,amount\nR-1,1\n', "x" * CHUNK + "\n"):
        with pytest.raises(Uncuttable) as caught:
            table_cutter(text.encode(), "", True)
        assert caught.value.fault.line == 1 and caught.value.fault.mend


# --- bounds -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "array", "log"])
def test_a_portion_is_bounded_in_rows_and_faults_and_says_that_there_is_more(kind: str) -> None:
    for good, most in ((True, ROWS), (False, FAULTS)):
        if kind == "log":
            raw, cutter = b"x\n" * (ROWS + 5), LogCutter()
        elif kind == "csv":
            raw = b"a,b\n" + (b"1,2\n" if good else b"1\n") * (ROWS + 5)
            cutter = table_cutter(raw, "", True)  # type: ignore[assignment]
        else:
            piece = b'{"a":1}' if good else b"7"
            raw = piece + b"\n" + (piece + b"\n") * (ROWS + 4) if kind == "jsonl" else b"[" + (piece + b",\n") * (ROWS + 5)
            cutter = object_cutter(raw)  # type: ignore[assignment]
        data, line, count = raw[cutter.start :], cutter.line, 0
        for _ in range(20):
            found = cut(cutter, data, line, Skip.NOTHING, False)
            size = len(found.content.lines)
            assert size <= ROWS and len(found.faults) <= FAULTS and found.taken
            if not count:
                assert found.full and (size if good or kind == "log" else len(found.faults)) == (most if kind != "log" else ROWS)
            count += size + len(found.faults)
            data, line = data[found.taken :], found.line
            if not found.full:
                break
        assert count == ROWS + 5 and not data.strip(b", \n")


def test_a_record_that_is_too_long_is_passed_over_wherever_it_stands() -> None:
    for cutter in (table_cutter(b"a,b\n", "", True), object_cutter(b"{}\n"), LogCutter()):
        assert cutter
        first = cut(cutter, b"x" * CHUNK, 7, Skip.NOTHING, False)
        assert (first.skip, first.line, first.taken) == (Skip.LINE, 7, CHUNK) and first.faults[0].line == 7 and first.faults[0].mend
        second = cut(cutter, b"x" * CHUNK, 7, Skip.LINE, False)
        assert (second.skip, second.taken, second.says) == (Skip.LINE, CHUNK, False)
        third = cut(cutter, b"xx\nrest", 7, Skip.LINE, False)
        assert (third.skip, third.line, third.taken) == (Skip.NOTHING, 8, 3)
        waiting = cut(cutter, b"x" * (CHUNK - 1), 7, Skip.NOTHING, False)
        assert not waiting.taken and not waiting.says, "it may still end in time"


# --- JSON -------------------------------------------------------------------------------------------------------------------------

JSON = {
    "numbers as they are written": (
        '{"a": 12.50, "b": 1e3, "c": -0, "d": 1234567890123456789012}',
        ["12.50", "1e3", "-0", "1234567890123456789012"],
    ),
    "words": ('{"a": true, "b": false, "c": null, "d": ""}', ["true", "false", None, ""]),
    "noughts that would look like thousands": ('{"a": 12.500, "b": "12.500", "c": 1.2300}', ["12.50", "12.500", "1.2300"]),
    "nested": ('{"a": {"x": [1.50, true]}, "b": [], "c": {}, "d": "\\u20ac"}', ['{"x":["1.50",true]}', "[]", "{}", "\u20ac"]),
}


@pytest.mark.parametrize("name", JSON)
def test_values(name: str) -> None:
    text, row = JSON[name]
    for form in (text + "\n", f"[{text}]", f"\n[\n{text},\n{text}]\n"):
        assert said(objects(form))[0][0] == row, form


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("[1]", "no JSON object"),
        ("7", "no JSON object"),
        ('"x"', "no JSON object"),
        ("null", "no JSON object"),
        ('{"a": 1, "a": 2}', "names a field twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1', "no JSON"),
        ('{"a": 1} x', "from character 9 on"),
        ("{'a': 1}", "no JSON"),
        ("R-1,1.00,EUR", "no JSON"),
        ("[" * 100_000, "too deeply"),
        ('{"a":' * 100_000, "too deeply"),
        (json.dumps({str(number): 1 for number in range(COLUMNS + 1)}), f"more than {COLUMNS}"),
    ],
)
def test_a_bad_line_costs_itself(bad: str, what: str) -> None:
    rows, lines, faults = said(objects('{"a": 1}\n' + bad + '\n\n{"a": "9' + "9" * 5_000 + '"}\n{"a": 2}\n'))
    assert [row[0] for row in rows] == ["1", "9" * 5_001, "2"] and lines == [1, 4, 5]
    ((line, text),) = faults
    assert line == 2 and what in text


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_a_value_of_any_depth_is_text_or_costs_its_line(opens: str, closes: str) -> None:
    """Reading it goes deeper than writing it."""
    for depth in range(900, 1_101):
        bad = f'{{"a": "7", "b": {opens * depth}1{closes * depth}}}'
        for form in (f'{{"a": 1}}\n{bad}\n{{"a": 2}}\n', f'[{{"a": 1}},\n{bad}]'):
            rows, _, faults = said(objects(form))
            assert rows[0][0] == "1", depth
            assert "7" in [row[0] for row in rows] or [line for line, what in faults if "is nested too deeply" in what] == [2], depth


def test_columns_are_those_of_all_lines_in_the_order_in_which_they_appear() -> None:
    found = objects('{"b": 1}\n{"a": 2, "b": 3}\n{"b": 4, "c": null}\n{"a": 5}\n')
    assert found.content == Table(
        ("b", "a", "c"), [["1", None, None], ["3", "2", None], ["4", None, None], [None, "5", None]], [1, 2, 3, 4]
    )


def test_columns_beyond_the_bound_begin_another_portion() -> None:
    text = "".join(json.dumps({f"c{line}-{number}": 1 for number in range(300)}) + "\n" for line in range(4))
    for form in (text, "[" + ",".join(text.splitlines()) + "]"):
        found = objects(form)
        assert isinstance(found.content, Table) and len(found.content.rows) == 1 and found.full and not found.faults


def test_an_array_counts_lines_and_waits_for_its_rest() -> None:
    text = '\n[\n  {"a": 1},\n\n  {"a":\n 2}, {"a": 3}\n]\n \n'
    assert said(objects(text)) == ([["1"], ["2"], ["3"]], [3, 5, 6], [])
    found = objects('[{"a": 1}, {"a": ', final=False)
    assert said(found) == ([["1"]], [1], []) and found.taken == len('{"a": 1}, ') and not found.full
    assert said(objects("[]"))[2] == [] and said(objects('[{"a": 1},]'))[0] == [["1"]]


@pytest.mark.parametrize(
    ("text", "rows", "what"),
    [
        ('[{"a": 1}', 1, "is not closed"),
        ('[{"a": 1}, {"a": ', 1, "from here on"),
        ('[{"a": 1}, oops, {"a": 2}]', 1, "from here on"),
        ('[{"a": 1}] {"a": 2}', 1, "behind the end"),
        ('[{"a": 1}, 7, {"a": 1, "a": 2}, {"a": 3}]', 2, "no JSON object"),
    ],
)
def test_an_array_that_is_wrong(text: str, rows: int, what: str) -> None:
    got, _, faults = said(objects(text))
    assert len(got) == rows and what in faults[0][1]


@pytest.mark.parametrize(
    ("name", "head", "format_"),
    [
        ("a.csv", "{", FileFormat.CSV),
        ("A.CSV.GZ", "", FileFormat.CSV),
        ("a.tsv", "", FileFormat.CSV),
        ("a.jsonl", "x", FileFormat.JSONL),
        ("a.ndjson.gz", "x", FileFormat.JSONL),
        ("a.json", "x", FileFormat.JSONL),
        ("a", ' \n{"a": 1}', FileFormat.JSONL),
        ("a.txt", "\ufeff[", FileFormat.JSONL),
        ("a.txt", "refund", FileFormat.CSV),
        ("standard input", "", FileFormat.CSV),
    ],
)
def test_the_format_is_told_by_the_name_or_the_first_character(name: str, head: str, format_: FileFormat) -> None:
    assert format_of(name, head.encode()) is format_


# --- whatever there is ------------------------------------------------------------------------------------------------------------

PIECES = [
    '"',
    '""',
    ",",
    ";",
    "\n",
    "\r\n",
    "\r",
    "a",
    "\ufeff",
    "\x00",
    "{",
    "}",
    "[",
    "]",
    '{"a":1}',
    "1e9",
    "\\",
    "\udcff",
    "\u20ac",
    " ",
    H,
    "null",
]


@pytest.mark.hostile
@pytest.mark.parametrize("kind", ["csv", "json", "log"])
def test_whatever_stands_in_a_file_it_is_cut_to_its_end(kind: str) -> None:
    """Never raises, always goes on, and comes to the same however it is fed."""
    draw = random.Random(20_260_101)
    for _ in range(1_500):
        text = "".join(draw.choices(PIECES, k=draw.randrange(60)))
        raw = text.encode("utf-8", "surrogateescape") if draw.random() < 0.8 else text.encode("utf-16", "surrogatepass")
        cutter = begun(kind, raw)
        if cutter:
            wanted = fed(cutter, raw, [len(raw)])
            steps = [draw.randrange(1, 20) for _ in range(40)]
            assert fed(cutter, raw, steps) == wanted, raw


def begun(kind: str, raw: bytes) -> Cutter | None:
    try:
        return table_cutter(raw, "", True) if kind == "csv" else object_cutter(raw) if kind == "json" else LogCutter()
    except Uncuttable as wrong:
        assert wrong.fault.line == 1
        return None


def fed(cutter: Cutter, raw: bytes, steps: list[int]) -> tuple[list[object], list[int]]:
    """(rows, their lines), `raw` being given as it grows by `steps`, and then to its end."""
    at, line, skip, end = cutter.start, cutter.line, Skip.NOTHING, cutter.start
    rows: list[object] = []
    lines: list[int] = []
    for step in [*steps, len(raw)]:
        end = min(len(raw), end + step)
        for turn in range(10_000):
            final = end == len(raw)
            found = cut(cutter, raw[at:end], line, skip, final)
            content = found.content
            assert 0 <= found.taken <= end - at and found.line >= line
            rows += [tuple(row) for row in content.rows] if isinstance(content, Table) else list(content.lines)
            if isinstance(content, Table):
                lines += content.lines
            at, line, skip = at + found.taken, found.line, found.skip
            if not found.full:
                break
            assert turn < 9_999
    assert at == len(raw)
    return rows, lines


@pytest.mark.hostile
def test_quotes_that_never_close_cost_a_bounded_time() -> None:
    raw = b"a,b\n" + b'a","\n' * 150_000
    cutter = table_cutter(raw, "", True)
    assert cutter
    found = cut(cutter, raw[cutter.start : cutter.start + CHUNK], 2, Skip.NOTHING, False)
    assert found.full and found.taken and len(found.faults) <= FAULTS


def test_a_log_without_line_end_at_its_end() -> None:
    found = cut(LogCutter(), b"a\n\nb", 5, Skip.NOTHING, True)
    assert found.content == Lines(["a", "", "b"], 5) and found.taken == 4 and found.line == 8
    found = cut(LogCutter(), b"a\n\nb", 5, Skip.NOTHING, False)
    assert found.content == Lines(["a", ""], 5) and found.taken == 3 and found.line == 7
