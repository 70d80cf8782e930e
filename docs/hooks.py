"""What mkdocs asks while it builds the site: generated pages, pictures drawn into pages, nothing from other hosts."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]  # what is described lies beside

from generated import PAGES  # noqa: E402
from pictures import PICTURES  # noqa: E402

_HOST = r"=\"?(?:https?:)?//"
_LOADED = re.compile(rf"<(?:script|img|iframe)[^>]* src{_HOST}|<link[^>]* rel=\"?stylesheet[^>]* href{_HOST}")


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Draw each `<!-- picture: NAME -->`."""
    return re.sub(r"<!-- picture: (\w+) -->", lambda found: PICTURES[found.group(1)](), markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse what would be loaded from another host."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found.group()}")
    return output
