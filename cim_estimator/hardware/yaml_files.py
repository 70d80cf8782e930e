"""YAML files whose mistakes are named: syntax, duplicate keys, wrong top level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hasnas.errors import BadInputError
from hasnas.files import read_text


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice, which plain YAML lets pass in silence."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    mapping: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise BadInputError(f"line {key_node.start_mark.line + 1}: key {key!r} is not a name; quote it")
        if key in mapping:
            raise BadInputError(f"line {key_node.start_mark.line + 1}: key '{key}' is given twice; keep one")
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: the file.

    Raises:
        BadInputError: if the file cannot be read, is not YAML, repeats a key or is no mapping; file and line are named.
    """
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; `where` names it in messages."""
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # a SafeLoader that also refuses duplicates
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        problem = getattr(error, "problem", None) or "nested too deeply or not text"
        raise BadInputError(f"{where} is not valid YAML{line}: {problem}") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{where} must hold keys and values, e.g. 'name: x'; it holds {type(content).__name__}")
    return content
