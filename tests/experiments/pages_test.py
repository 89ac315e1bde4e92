import jax.numpy as jnp

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import pages, plots


def test_a_page_is_for_all_widths_and_escapes_its_heading():
  page = pages.page('A & B', [pages.facts({'a<b': '1.5 %'})])
  assert page.startswith('<!doctype html><html lang="en">')
  assert 'width=device-width' in page and 'prefers-color-scheme' in page
  assert '<title>A &amp; B</title>' in page and '<h1>A &amp; B</h1>' in page
  assert '<dt>a&lt;b</dt><dd>1.5 %</dd>' in page


def test_long_names_may_break_where_they_have_joints():
  assert '<h1>a:<wbr>b_<wbr>c</h1>' in pages.page('a:b_c', [])


def test_a_figure_is_inside_the_page_and_says_what_it_is():
  report = jc.report({'a': encoded.Dense(jnp.arange(5.0))})
  found = pages.image('a<b', plots.plot_sizes(report))
  assert 'alt="a&lt;b" src="data:image/png;base64,iVBOR' in found


def test_a_figure_gives_the_same_png_twice():
  report = jc.report({'a': encoded.Dense(jnp.arange(5.0))})
  first, second = (pages.png(plots.plot_sizes(report)) for _ in range(2))
  assert first.startswith(b'\x89PNG') and first == second
