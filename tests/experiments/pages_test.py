import html.parser

import jax.numpy as jnp

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import pages, plots


def test_the_page_holds_facts_table_and_figures_and_needs_no_file():
  report = jc.report({'a<b': encoded.Dense(jnp.arange(5.0))})
  figures = {'sizes': plots.plot_sizes(report)}
  page = pages.render('A & B', {'error': '1.5 %'}, report, figures)
  seen = []

  class Parser(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
      seen.append((tag, dict(attrs)))

  Parser().feed(page)
  tags = [tag for tag, _ in seen]
  assert tags.count('tr') == 4 and tags.count('img') == 1
  assert all(
    value.startswith('data:')
    for _, attrs in seen
    for name, value in attrs.items()
    if name in ('src', 'href')
  )
  for text in ('A &amp; B', '1.5 %', 'a&lt;b'):
    assert text in page


def test_a_figure_gives_the_same_png_twice():
  report = jc.report({'a': encoded.Dense(jnp.arange(5.0))})
  first, second = (pages.png(plots.plot_sizes(report)) for _ in range(2))
  assert first.startswith(b'\x89PNG') and first == second
