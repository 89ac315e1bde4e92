from jcompress import html_table


def test_a_table_of_text_is_escaped():
  got = html_table.table(('a', 'b'), [('1', '<')])
  want = '<tr><th>a</th><th>b</th></tr><tr><td>1</td><td>&lt;</td></tr>'
  assert got == f'<table class="">{want}</table>'
