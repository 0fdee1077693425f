"""Sentences on their way to the screen: where they name an entry in braces, its key is put.

What shows sentences (panels, empty tables, questions, the prompt's row) does it, so that who writes
one names `{cycle.start}` and never the usual key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.content import Content, Span

from console.keymap import NAMED_IN_TEXT

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from console.app import PaddockApp


def with_keys(node: DOMNode, text: str) -> str:
    """Return a sentence with the operator's own keys, as they are where he is."""
    if "{" not in text:
        return text
    console = cast("PaddockApp", node.app)
    return console.keymap.told(text, console.place)


def content_with_keys(node: DOMNode, content: Content) -> Content:
    """Return a styled text with the operator's own keys; a key has the style its name had."""
    names = list(NAMED_IN_TEXT.finditer(content.plain))
    if not names:
        return content
    # How far each place of the text moves: by what the keys before it are shorter.
    ends = [(found.end(), len(with_keys(node, found[0])) - len(found[0])) for found in names]

    def moved(place: int) -> int:
        return place + sum(longer for end, longer in ends if end <= place)

    spans = [Span(moved(span.start), moved(span.end), span.style) for span in content.spans]
    return Content(with_keys(node, content.plain), spans)
