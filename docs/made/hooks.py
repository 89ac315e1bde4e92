"""The one hook of the site: comments in its pages are expanded."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from made import expand  # noqa: E402


def on_page_markdown(markdown, page, config, files):
  """Called by mkdocs for each page."""
  del page, config, files
  return expand.expand(markdown)
