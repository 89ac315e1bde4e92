import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted(pathlib.Path(__file__).parents[1].glob('colabs/*.ipynb'))
PRINTED = {
  'quick_start': ('bytes; decoded:', 'zeros', 'of the small network: error'),
  'finished_checkpoint': ('relative error', '"choices"', 'bytes, '),
  'your_own_method': (
    'the file holds',
    'pruned, powers of two:',
    'three seeds',
  ),
  'low_rank_and_distillation': ('alone: ', 'taught: ', 'thin, taught: '),
  'pruning_and_structure': ('surgery:', 'half of the channels:', 'one file:'),
  'deep_compression': ('15 values', 'from the file:', 'cheaper codes:'),
  'soft_sharing': ('drawn together:', 'hardened:', 'trained on:'),
  'binarization': ('BNN', 'on packed bits:', '100.0 % of the answers'),
  'tpu_and_sharding': ('8 cpu', "P(None, 'data')", 'from its codes:'),
}


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_short_and_stripped(path):
  cells = nbformat.read(path, as_version=4).cells
  assert len(cells) <= 15
  assert not any(c.get('outputs') or c.get('execution_count') for c in cells)
  first = next(c.source for c in cells if c.cell_type == 'code')
  assert "%pip install -q 'jcompress[examples]'" in first


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_run_top_to_bottom(path, tmp_path, monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '')  # one device, as in Colab
  notebook = nbformat.read(path, as_version=4)
  resources = {'metadata': {'path': str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
  outputs = [o for c in notebook.cells for o in c.get('outputs', [])]
  printed = ''.join(o.text for o in outputs if o.output_type == 'stream')
  assert any('image/png' in o.get('data', {}) for o in outputs)
  for text in PRINTED[path.stem]:
    assert text in printed
