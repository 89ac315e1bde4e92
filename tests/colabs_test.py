import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted(pathlib.Path(__file__).parents[1].glob('colabs/*.ipynb'))
PRINTED = {
  'quick_start': ('bytes; decoded:', 'zeros', 'of the small network: error'),
  'finished_checkpoint': ('relative error', '"choices"', 'bytes, '),
}


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_short_and_stripped(path):
  cells = nbformat.read(path, as_version=4).cells
  assert len(cells) <= 15
  assert not any(c.get('outputs') or c.get('execution_count') for c in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_run_top_to_bottom(path, tmp_path, monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '')  # one device, as in Colab
  notebook = nbformat.read(path, as_version=4)
  resources = {'metadata': {'path': str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
  printed = ''.join(
    o.text
    for c in notebook.cells
    for o in c.get('outputs', [])
    if o.get('output_type') == 'stream'
  )
  for text in PRINTED[path.stem]:
    assert text in printed
