"""What a page is in a browser, where one is installed."""

import json
import re
import shutil
import subprocess

import pytest

BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
needs_browser = pytest.mark.skipif(not BROWSER, reason='there is no chromium')
DARK = '--blink-settings=preferredColorScheme=0'


def started(url, folder, *flags):
  """Opens a page without a display; what the browser prints."""
  command = [BROWSER, '--headless', '--no-sandbox', '--disable-gpu']
  command += [f'--user-data-dir={folder}/profile', *flags, url]
  return subprocess.run(
    command, capture_output=True, check=True, text=True, timeout=120
  ).stdout


def dumped(url, folder, *flags):
  """The JSON that a page has put into its only `<pre>`."""
  flags = '--dump-dom', '--virtual-time-budget=10000', *flags
  shown = started(url, folder, *flags)
  return json.loads(re.search('<pre>(.*)</pre>', shown, re.S)[1])
