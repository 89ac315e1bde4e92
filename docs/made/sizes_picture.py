r"""Draws bytes against what is lost of finished networks, from the tables.

    PYTHONPATH=docs python -m made.sizes_picture

`docs/results/sentence_sizes.png` and `image_sizes.png`: a line a method, a
point for each number of bits.
"""

from jcompress.experiments import pages, plots
from made import expand, results
from made.picture import value

PICTURES = {  # a config, its panels by the beginnings of rows, and the loss
  'sentence_sizes': ({'': 'MiniLM'}, ('tuned', 'at once'), '1 - cosine'),
  'image_sizes': (
    {'resnet20_': 'ResNet-20', 'vit_': 'ViT'},
    ('error',),
    'error, %',
  ),
}
MARKERS = 'osv^Dx+'
Lines = dict[str, list[tuple[float, float]]]


def lines(config: str, prefix: str) -> Lines:
  """Bytes and losses of each method, in the order of bits."""
  _, columns, loss = PICTURES[config]
  found: Lines = {}
  for block in results.blocks(config):
    for row, (line, *_) in block.rows.items():
      if not row.startswith(prefix):
        continue
      method, _, bits = row.removeprefix(prefix).rpartition('_')
      if not bits.isdigit():
        method = row.removeprefix(prefix)
      measured = (value(block, line, column) for column in columns)
      number = next(x for x in measured if x is not None)
      lost = 1 - number if loss.startswith('1 -') else number
      found.setdefault(method, []).append((value(block, line, 'bytes'), lost))
  return found


def draw(config: str):
  """The picture of a config."""
  panels, _, loss = PICTURES[config]
  fig, axes = plots.figure(6.4, 3.4)
  axes.remove()
  for i, (prefix, title) in enumerate(panels.items()):
    axes = fig.add_subplot(1, len(panels), i + 1)
    for j, (method, points) in enumerate(lines(config, prefix).items()):
      sizes, lost = zip(*points, strict=True)
      style = dict(marker=MARKERS[j % len(MARKERS)], ms=4, lw=1)
      axes.plot([s / 1e6 for s in sizes], lost, label=method, **style)
    axes.set(xscale='log', yscale='log', title=title)
    axes.set(xlabel='megabytes of the file', ylabel='' if i else loss)
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter('{x:g}')
  axes.legend(fontsize=7)
  return fig


if __name__ == '__main__':
  for config in PICTURES:
    path = expand.DOCS / f'results/{config}.png'
    path.write_bytes(pages.png(draw(config)))
