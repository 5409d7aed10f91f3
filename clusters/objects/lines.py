"""The line of a field in a YAML file, for messages; parses a second time, only when asked."""

from __future__ import annotations

import yaml

FieldPath = tuple[str | int, ...]
"""Keys and list indexes from the document down."""


class FieldLines:
    """Finds fields in the text of one stream. Never raises for text that cannot be parsed."""

    def __init__(self, text: bytes, first_line: int = 1) -> None:
        """`first_line` is the line of the file at which `text` begins."""
        self._text = text
        self._first_line = first_line
        self._nodes: list[yaml.Node] | None = None

    def line(self, document: int, path: FieldPath = ()) -> int:
        """The line (from 1) of the field, or of its nearest parent; 0 if it is not known.

        `document` counts from 0 as `read_yaml_documents` does: empty ones are left out.
        """
        nodes = self._documents()
        if document >= len(nodes):
            return 0
        node, line = nodes[document], nodes[document].start_mark.line
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return line + self._first_line

    def _documents(self) -> list[yaml.Node]:
        if self._nodes is None:
            try:
                composed = list(yaml.compose_all(self._text, Loader=yaml.CSafeLoader))
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
                composed = []
            self._nodes = [node for node in composed if node.value not in _EMPTY]
        return self._nodes


_EMPTY = ("", "~", "null", "Null", "NULL")


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    return None
