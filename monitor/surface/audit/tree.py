"""The tree of an SPF record, with what each branch costs."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from monitor.surface.audit.document import Document
from monitor.surface.gate.safe import safe

MOST_LOOKUPS, MOST_VOIDS = 10, 2  # RFC 7208 section 4.6.4
NEAR = 8  # lookups from which on there is little room


def budget(node: Document) -> Text:
    """`7 of 10 lookups, 0 of 2 void`."""
    lookups, voids = node["lookups"], node["voids"]
    first = "bold red" if lookups > MOST_LOOKUPS else "yellow" if lookups >= NEAR else "green"
    second = "bold red" if voids > MOST_VOIDS else "yellow" if voids else "green"
    return (
        Text(f"{lookups} of {MOST_LOOKUPS} lookups", style=first)
        .append(", ", style="default")
        .append(f"{voids} of {MOST_VOIDS} void", style=second)
    )


def spf_tree(node: Document) -> Tree:
    """The record at the root, its terms below it; an include shows the record that it leads to."""
    tree = Tree(Text("SPF of ", style="bold").append(safe(node["domain"])).append(": ").append_text(budget(node)), guide_style="dim")
    if node["record"]:
        tree.add(Text(safe(node["record"]), style="dim"))
    _grow(tree, node)
    return tree


def _grow(tree: Tree, node: Document) -> None:
    for child in node["children"]:
        branch = tree.add(_line(child))
        _grow(branch, child)
    if node["hidden"]:
        tree.add(Text(f"and {node['hidden']} more", style="dim"))


def _line(node: Document) -> Text:
    line = Text(safe(node["term"]))
    if node["lookups"]:
        line.append(f"  {node['lookups']}", style="cyan")
    if node["voids"]:
        line.append(f"  {node['voids']} void", style="yellow")
    if node["fault"]:
        line.append(f"  {safe(node['fault'])}", style="red")
    elif node["result"]:
        line.append(f"  {safe(node['result'])}", style="green" if node["result"] == "match" else "dim")
    return line
