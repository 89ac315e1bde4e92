"""The documentation is whole: names, configs, links, sources, the site."""

import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse

import pytest
from made import expand, laws, names, picture, results, sizes_picture

import jcompress as jc

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = sorted([*ROOT.glob('*.md'), *DOCS.rglob('*.md')])
WRITTEN = {page: page.read_text() for page in PAGES}
FAMILIES = {
  'prune': 'pruning',
  'quantize': 'quantization',
  'binarize': 'binarization',
  'share': 'sharing',
  'structure': 'structure',
  'channels': 'structure',
  'factor': 'factorization',
  'planning': 'whole_networks',
}
NAMED = re.compile(r'^::: (\S+)', re.M)


@pytest.fixture(scope='module')
def shown():
  """The pages as the site shows them."""
  return {
    page: expand.expand(text) if page.is_relative_to(DOCS) else text
    for page, text in WRITTEN.items()
  }


def without_code(text):
  return re.sub(r'```.*?```|^    .*?$|`[^`\n]*`', '', text, flags=re.S | re.M)


def anchors(text):
  """What the headings of a page can be linked by."""
  heads = re.findall(
    r'^#+ (.*)$', re.sub(r'```.*?```', '', text, flags=re.S), re.M
  )
  slug = lambda head: re.sub(r'[^\w\s-]', '', head).strip().lower()
  return {re.sub(r'[-\s]+', '-', slug(head)) for head in heads}


def test_every_public_name_has_one_place(shown):
  found = [name for text in shown.values() for name in NAMED.findall(text)]
  want = {f'jcompress.{name}' for name in names.of_package()}
  for module, value in names.MODULES.items():
    want |= {f'{value.__name__}.{name}' for name in names.of_module(module)}
  modules = {n for n in found if n.startswith('jcompress.experiments.')}
  assert sorted(set(found) - modules) == sorted(want)
  assert len(found) == len(set(found))


def test_every_name_is_in_the_table_of_its_family():
  for name in names.of_package():
    family = FAMILIES.get(names.room(name), 'algebra')
    page = DOCS / f'methods/{family}.md'
    assert f'`{name}`' in WRITTEN[page], f'{name} is not in {page.name}'
  for name in names.of_module('distill'):
    assert f'`distill.{name}`' in WRITTEN[DOCS / 'methods/distillation.md']


def test_names_in_tables_are_links():
  line = '| signs | `ops.sign`, `nothing`, `rigl`, [`plan`](#x) | 2020 |'
  assert expand.linked(line) == (
    '| signs | [`ops.sign`][jcompress.ops.sign], `nothing`, '
    '[`rigl`][jcompress.rigl], [`plan`](#x) | 2020 |'
  )


def test_every_public_module_is_a_page():
  public = [n for n in jc.__all__ if names.is_module(getattr(jc, n))]
  assert set(public) <= set(names.MODULES)
  for module in names.MODULES:
    assert (DOCS / f'reference/{module}.md').exists()
    assert names.of_module(module)


def test_every_config_is_shown_once_with_its_command(shown):
  marks = [
    config
    for page, text in WRITTEN.items()
    if page.is_relative_to(DOCS)
    for config in re.findall(r'<!-- made: config (\w+) -->', text)
  ]
  assert sorted(marks) == results.configs()
  for config in marks:
    assert (
      f'jcompress train --config configs/{config}.py'
      in shown[DOCS / expand.page_of(config)]
    )


def test_every_method_of_the_table_of_laws_is_public():
  assert {m for line in laws.lines() for m in line.methods} <= set(jc.__all__)
  assert all(line.methods for line in laws.lines())
  assert 'Zeros may move: a sign is never zero.' in laws.of('binary_weight')
  assert 'its latent has a form of its own' in laws.of('learned_step')
  assert laws.of('train_step') == ''


def test_rows_are_of_public_names_and_of_configs_that_use_them():
  for name, rows in expand.used_rows().items():
    assert name in jc.__all__
    for row in rows:
      config, _, wanted = row.partition(':')
      assert config in results.configs()
      if wanted:
        assert wanted in results.rows(config, [wanted])
  with pytest.raises(ValueError, match="has the rows {'nothing'}"):
    results.rows('pruning', ['nothing', 'obd'])


def test_a_row_is_shown_below_the_head_of_its_table():
  text = results.rows('pruning', ['surgery'])
  head, row = [line for line in text.splitlines() if line.startswith('    ')][
    :2
  ]
  assert head.split() == ['at', 'once', 'trained', 'weights', 'bytes', 'ratio']
  assert row.split() == ['surgery', '10.25', '18,602', '67,948', '15.7x']
  assert text.startswith('On all of Fashion-MNIST')


def test_references_of_a_config_are_a_list():
  page = results.page('images')
  assert page.count('\n* ') == 3 and '* He et al., Deep Residual' in page


def test_the_picture_shows_what_the_tables_say():
  points = {(p.family, p.row): p for p in picture.points()}
  dense = points['pruning', 'lenet5_dense']
  assert (dense.bytes, dense.error) == (1430475, 8.40)  # trained is empty
  ecsq = points['quantization', 'ecsq_8']
  assert (ecsq.bytes, ecsq.error) == (23889, 8.62)
  assert len(points) > 50 and set(picture.NAMED) <= {
    ':'.join(k) for k in points
  }
  assert (DOCS / 'front.png').stat().st_size < 100_000


def test_the_pictures_of_sizes_show_what_the_tables_say():
  found = sizes_picture.lines('sentence_sizes', '')
  size, lost = found['gptq'][1]
  assert size == 8_545_380 and lost == pytest.approx(1 - 0.9370)
  assert len(found['plan']) == 5 and len(found['nf4']) == 1
  for prefix in ('resnet20_', 'vit_'):
    found = sizes_picture.lines('image_sizes', prefix)
    assert [len(points) for points in found.values()] == [4] * 6
  for config in sizes_picture.PICTURES:
    assert (DOCS / f'results/{config}.png').stat().st_size < 100_000


def test_the_readme_is_short_and_has_its_two_commands():
  text = WRITTEN[ROOT / 'README.md']
  assert len(text.encode()) <= 10_000
  assert "pip install -e '.[test]' && pytest\n" in text
  train = 'jcompress train --config configs/deep_compression.py'
  assert (
    f"pip install -e '.[examples]' && {train} --workdir runs/first\n" in text
  )


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page, shown):
  for target in re.findall(r'\]\(([^)\s]+)\)', without_code(shown[page])):
    url = urllib.parse.urlsplit(target)
    if url.scheme:
      assert url.scheme == 'https'
      continue
    # What is included from beside docs/ has its links as they are from here.
    path = (page.parent / url.path).resolve() if url.path else page
    assert path.exists(), target
    if url.fragment:
      assert url.fragment in anchors(shown[path]), target


@pytest.mark.parametrize(
  'page',
  # The numbers of the format are no measurements.
  [p for p in PAGES if p.name != 'file_format.md'],
  ids=lambda p: str(p.relative_to(ROOT)),
)
def test_tables_of_numbers_have_a_source(page):
  for section in re.split(r'^#+ ', WRITTEN[page], flags=re.M):
    if has_numbers(section):
      assert 'Source: `' in section, section[:80]


def has_numbers(section):
  """Whether a third of the cells of a table are measured numbers."""
  lines = re.findall(r'^\|([^-].*)\|$', section, re.M)
  cells = [c.strip() for line in lines for c in line.split('|')]
  numbers = [c for c in cells if re.fullmatch(r'[-\d.,%x ]*\d[-\d.,%x ]*', c)]
  return len(numbers) > len(cells) / 4


def test_a_table_of_numbers_is_seen():
  assert has_numbers('| a | b |\n|---|---|\n| x | 1.5 % |\n| y | 2,000 |\n')
  assert not has_numbers('| a | b |\n|---|---|\n| x | Han et al. 2015 |\n')


def test_versions_agree():
  changes = WRITTEN[ROOT / 'CHANGELOG.md']
  latest = re.findall(r'^## \[(\d.*?)\]', changes, re.M)[0]
  cited = re.findall(r'version = \{(.*?)\}', WRITTEN[ROOT / 'README.md'])
  assert [latest] == cited == [jc.__version__]


def test_every_page_is_in_the_navigation():
  text = (ROOT / 'mkdocs.yml').read_text()
  listed = re.findall(r'[\w/]+\.md', text)
  pages = [p.relative_to(DOCS).as_posix() for p in DOCS.rglob('*.md')]
  pages = [page for page in pages if not page.startswith('reader/')]
  assert sorted(listed) == sorted(pages)
  extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  assert 'docs' in extras['optional-dependencies']


def test_doctests_are_code_and_sources_are_apart():
  docstrings = pytest.importorskip('made.docstrings')
  text = 'Adds.\n\n  >>> [1][0]\n  1\n\nReferences:\n  A, 1.\n  B, 2.\n'
  assert docstrings.as_shown(text) == (
    'Adds.\n\n  ```pycon\n  >>> [1][0]\n  1\n  ```\n\n'
    'References:\n  A, 1.\n\n  B, 2.\n\n'
  )


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
  pytest.importorskip('mkdocs')
  pytest.importorskip('mkdocstrings_handlers.python')
  command = [sys.executable, '-m', 'mkdocs', 'build', '--strict']
  done = subprocess.run(
    [*command, '--site-dir', str(tmp_path / 'site')],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  page = (tmp_path / 'site/methods/pruning/index.html').read_text()
  for text in ('id="jcompress.magnitude_prune"', '18,998', 'Held to all laws'):
    assert text in page
