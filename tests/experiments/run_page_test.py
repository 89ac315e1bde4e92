import html.parser
import json
import shutil

import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from browser import DARK, dumped, needs_browser, started

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import run_page
from jcompress.planning.choices import Choice
from jcompress.planning.plan import Plan, Point

SIZES = (360, 5000), (1200, 3000)
LONG = 'encoder_layers_attention_output_projection_with_a_long_name'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A run as its files tell it: three stages, long names, large numbers."""
  folder = tmp_path_factory.mktemp('run')
  rng = np.random.default_rng(0)
  kept = lambda *shape: rng.normal(size=shape) * (rng.random(shape) < 0.2)
  codes = rng.integers(0, 8, (60, 50), np.uint8)
  params = {
    'conv': {'kernel': encoded.Dense(jnp.asarray(kept(5, 5, 1, 20)))},
    'fc': {'kernel': encoded.Codebook(jnp.linspace(-3.0, 3.0, 8), codes)},
    LONG: {LONG: encoded.Dense(jnp.asarray(kept(90, 40)))},
    **{f'n{i}': encoded.Dense(jnp.ones(i + 1)) for i in range(30)},
  }
  jc.save(
    folder / 'model.jcz',
    {'params': params},
    metadata={
      'factored': [
        {
          'after': 0,
          'plan': {
            'params/fc/kernel': {'name': 'svd', 'ranks': [7], 'options': []},
          },
        }
      ]
    },
  )
  records = [
    {'stage': stage, 'step': step, 'error': 50 / step, 'loss': 9 / step}
    | {'sparsity': 80.0, 'penalty': 0.0}
    for stage in ('dense', 'prune')
    for step in range(10, 12_346, 500)
  ]
  stages = {
    s: {'error': 8.25, 'loss': 0.5} for s in ('dense', 'prune', 'share')
  }
  records += [
    {'stage': s, 'step': 12_345 * (s != 'share'), 'test': found, 'bits': 32.0}
    for s, found in stages.items()
  ]
  points = (Point(3_000, 0.5), Point(20_000, 0.02), Point(900_000, 1e-5))
  choices = {f'{LONG}/{LONG}': Choice('feedback', {'step': 0.123456789})}
  records[-1]['plan'] = Plan(choices, 20_000, 0.02, points).to_json()
  lines = ''.join(json.dumps(r) + '\n' for r in records)
  (folder / 'metrics.jsonl').write_text(lines)
  result = {
    'recipe': 'deep_compression:<lenet>',
    'data': 'mnist',
    'seed': 3,
    'stages': stages,
    'decoded': {'error': 8.25, 'loss': 0.5},
    'bytes': 1_234_567_890,
    'ratio': 55.24,
    'bits': 0.5,
    'parameters': 1000,
    'nonzeros': 71,
    'macs': 266_200,
    'layers': {},
  }
  (folder / 'result.json').write_text(json.dumps(result))
  run_page.write_missing(folder)
  return folder


class Seen(html.parser.HTMLParser):
  def __init__(self, text):
    super().__init__()
    self.tags, self.addresses, self.text = [], [], ''
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.addresses += [v for k, v in attrs if k in ('href', 'src')]

  def handle_data(self, data):
    self.text += data


def test_the_page_tells_the_run_and_needs_no_file(folder):
  text = (folder / 'report.html').read_text()
  seen = Seen(text)
  assert 'script' not in seen.tags and 'link' not in seen.tags
  assert len(seen.addresses) == 2  # masks
  assert all(a.startswith('data:image/png') for a in seen.addresses)
  assert (
    seen.tags.count('svg') == seen.tags.count('figure') == 4 + 2 + 3 + 2 + 1
  )
  assert seen.tags.count('title') == 1 + seen.tags.count('svg')
  for words in (
    'deep_compression:<lenet> on mnist',
    '8.25 %',
    '1,234,567,890',
    '55.2x',
    '7.1 %',
    '266 k',
    'svd',
    'step 0.1235',
  ):
    assert words in seen.text, words


def test_pages_that_are_missing_are_written_and_others_left(folder, tmp_path):
  for name in 'old', 'new', 'without':
    shutil.copytree(folder, tmp_path / name)
    (tmp_path / name / 'report.html').unlink()
  (tmp_path / 'new' / 'report.html').write_text('kept')
  (tmp_path / 'without' / 'model.jcz').unlink()
  run_page.write_missing(tmp_path)
  written = (tmp_path / 'old' / 'report.html').read_text()
  assert written == (folder / 'report.html').read_text()
  assert (tmp_path / 'new' / 'report.html').read_text() == 'kept'
  assert not (tmp_path / 'without' / 'report.html').exists()


FRAME = """<!doctype html><body style="margin:0">%s<script>
onload = () => setTimeout(() => {
  const out = [...document.querySelectorAll('iframe')].map((frame) => {
    const inner = frame.contentWindow, doc = inner.document;
    const box = (node) => node.getBoundingClientRect();
    const meet = [], out = [];
    for (const svg of doc.querySelectorAll('svg')) {
      const texts = [...svg.querySelectorAll('text')];
      texts.forEach((a, i) => {
        const [p, s] = [box(a), box(svg)];
        if (p.left < s.left - 3 || p.right > s.right + 3)
          out.push(a.textContent);
        for (const b of texts.slice(i + 1)) {
          const q = box(b);
          if (p.left < q.right && q.left < p.right &&
              p.top + 3 < q.bottom && q.top + 3 < p.bottom)
            meet.push(a.textContent + ' | ' + b.textContent);
        }
      });
    }
    return { wide: doc.scrollingElement.scrollWidth, inner: inner.innerWidth,
      sideways: [...doc.querySelectorAll('.wide')].filter(
        (d) => d.scrollWidth > d.clientWidth).length, meet, out,
      paper: inner.getComputedStyle(doc.body).backgroundColor };
  });
  document.body.innerHTML = '<pre>' + JSON.stringify(out) + '</pre>';
}, 50);
</script></body>"""


@needs_browser
@pytest.mark.parametrize('flags', [(), (DARK,)], ids=['light', 'dark'])
def test_nothing_overflows_on_a_phone_and_at_a_desk(folder, flags):
  frames = ''.join(
    f'<iframe src="report.html" width="{w}" height="{h}"></iframe>'
    for w, h in SIZES
  )
  (folder / 'frame.html').write_text(FRAME % frames)
  address = f'file://{folder}/frame.html'
  found = dumped(address, folder, '--allow-file-access-from-files', *flags)
  for (width, _), frame in zip(SIZES, found, strict=True):
    assert frame['wide'] <= frame['inner'] == width
    assert frame['sideways'] == 0
    assert frame['meet'] == frame['out'] == []
    assert frame['paper'] == (
      'rgb(22, 23, 26)' if flags else 'rgb(255, 255, 255)'
    )


@needs_browser
def test_it_is_drawn_as_dark_as_it_is_asked_to_be(folder):
  for flags, paper in ((), 1.0), ((DARK,), 22 / 255):
    shot = folder / 'shot.png'
    size = '--window-size=1200,900', f'--screenshot={shot}'
    started(f'file://{folder}/report.html', folder, *size, *flags)
    picture = matplotlib.image.imread(shot)
    assert picture.shape[1] == 1200
    assert picture[0, 0, 0] == pytest.approx(paper, abs=0.01)
    assert np.std(picture[..., :3]) > 0.05  # something is drawn
