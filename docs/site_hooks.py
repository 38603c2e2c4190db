"""Pages and links of the repository -> pages and links of the site.

Markdown files link to each other and to source files by relative paths, as a repository's web page shows them. The site
has the model cards and the project's own pages too, at other paths, and no source files: links follow, and a link to a
file that the site lacks becomes that file's path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "cards/classifier.md": "runtime/tinydf_runtime/models/weights/tinydf.md",
    "cards/facedetector.md": "runtime/tinydf_runtime/models/weights/facedetector.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page of the site -> file of the repository, for files outside ``docs/``."""
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie outside ``docs/``."""
    for uri, path in ELSEWHERE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Returns a page with its links as the site needs them."""
    here = page.file.src_uri
    folder = (ROOT / ELSEWHERE.get(here, f"docs/{here}")).parent
    pages = {str(ROOT / path): uri for uri, path in ELSEWHERE.items()}
    pages |= {str(ROOT / "docs" / file.src_uri): file.src_uri for file in files if file.src_uri not in ELSEWHERE}

    def follow(link: re.Match[str]) -> str:
        text, target = link.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return link[0]
        path, mark, anchor = target.partition("#")
        found = os.path.normpath(folder / path)
        if found in pages:
            return f"[{text}]({os.path.relpath(pages[found], Path(here).parent)}{mark}{anchor})"
        return f"{text} (`{os.path.relpath(found, ROOT)}`)" if Path(found).exists() else link[0]

    return LINK.sub(follow, markdown)
