"""HTML in small pieces. Text is escaped here and nowhere else; `Html` is what is safe already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LONG_TEXT = 38


class Html(str):
    """Markup that may stand on the page as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value as text that cannot become markup."""
    return value if isinstance(value, Html) else Html(escape(str(value), quote=True))


def element(tag: str, *children: object, **attributes: str) -> Html:
    """Return an element; children are escaped unless they are `Html`.

    Attributes are escaped; a trailing underscore is dropped (`class_`), others become hyphens.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for name, value in attributes.items()
        if value
    )
    return Html(f"<{tag}{named}>{''.join(text(child) for child in children)}</{tag}>")


def joined(parts: Iterable[Html]) -> Html:
    """Return pieces of markup one after the other."""
    return Html("\n".join(parts))


def section(anchor: str, title: str, *children: object) -> Html:
    """Return a titled section that can be linked to."""
    return element("section", element("h2", title), *children, id=anchor)


def table(
    caption: str, head: Sequence[object], rows: Iterable[Sequence[object]], class_: str = ""
) -> Html:
    """Return a table whose columns, and whose rows by their first cell, have headers.

    What `cell` made stands as it is; everything else becomes a plain cell.
    """
    heads = [_as_cell(item, "th", scope="col") for item in head]
    body = [
        element("tr", *(_as_cell(item, "td" if i else "th") for i, item in enumerate(row)))
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *heads)),
            element("tbody", joined(body)),
            class_=class_,
        ),
        class_="scroll",
    )


def cell(value: object, class_: str = "", tag: str = "td") -> Html:
    """Return one cell with a class of its own."""
    return element(tag, value, class_=class_)


def facts(pairs: Iterable[tuple[object, object]]) -> Html:
    """Return names with their values; a long value takes the whole width."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element("dd", value),
                class_="wide" if len(str(value)) > _LONG_TEXT else "",
            )
            for name, value in pairs
        ),
    )


def _as_cell(item: object, tag: str, scope: str = "row") -> Html:
    if isinstance(item, Html) and item.startswith(("<td", "<th")):
        return item
    return element(tag, item, scope=scope if tag == "th" else "")
