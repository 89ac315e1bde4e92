"""The flags of a command, with a config file among them."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from jcompress.experiments import bundled, recipe
from jcompress.experiments.recipe import Recipe

_HELP = '-h', '-help', '--help', '--helpfull', '--helpshort'


class Parser:
  """The flags of one command: defined, then parsed into `values`.

  Attributes:
    values: of the flags, once they are parsed.
    others: the words that are no flags.
  """

  def __init__(self, usage: str):
    """`usage` is what `--help` prints above the flags."""
    self.usage, self.values = usage, flags.FlagValues()
    self.others: list[str] = []

  def config(self, words: Sequence[str]) -> None:
    """`--config=FILE.py[:ROW]`, and `--config.KEY=VALUE` by its keys.

    `jcompress:NAME[:ROW]` is a config that comes with the package.

    Raises:
      ValueError: the file is missing, has an error, or lacks a function.
    """
    words = _located(words)
    name = _config_of(words)
    if name is not None:
      recipe.load(name)  # says what is wrong with it in one line
    config_flags.DEFINE_config_file(
      'config',
      help_string='FILE.py or FILE.py:ROW; --config.KEY=VALUE changes a number',
      flag_values=self.values,
      sys_argv=['jcompress', *words],
    )

  def data(self) -> None:
    """`--data` and `--data_dir`."""
    self.text('data', 'name of the data set')
    self.folder('data_dir', 'its folder')

  def text(self, name: str, about: str) -> None:
    flags.DEFINE_string(name, None, about, flag_values=self.values)

  folder = text

  def many(self, name: str, about: str) -> None:
    flags.DEFINE_multi_string(name, [], about, flag_values=self.values)

  def texts(self, name: str, default: list[str], about: str) -> None:
    flags.DEFINE_list(name, default, about, flag_values=self.values)

  def number(self, name: str, about: str) -> None:
    flags.DEFINE_float(name, None, about, flag_values=self.values)

  def count(self, name: str, default: int, about: str) -> None:
    flags.DEFINE_integer(name, default, about, flag_values=self.values)

  def boolean(self, name: str, about: str) -> None:
    flags.DEFINE_boolean(name, False, about, flag_values=self.values)

  def parse(self, words: Sequence[str], *wanted: int) -> bool:
    """Parses; `False` if it was asked for help, which is then printed.

    Args:
      words: after the name of the command.
      *wanted: how many of them may be no flags.

    Raises:
      ValueError: another number of words; an unknown flag or key, with the one
        that was meant perhaps.
    """
    if any(word in _HELP for word in words):
      print(self.usage)
      names = [name for name in self.values if '.' not in name]
      for name in names:
        print(f'  --{name}: {self.values[name].help}')
      return False
    try:
      self.others = self.values(['jcompress', *_located(words)])[1:]
    except (AttributeError, KeyError) as error:
      # ml_collections says which key it does not know, and what may be meant.
      said = str(error.args[0])
      meant = re.search(r'mean "(\w+)"', said)
      hint = f' Did you mean {meant[1]!r}?' if meant else ''
      key = re.findall(r'\w+', said)[0]
      raise ValueError(f'The config has no key {key!r}.{hint}') from error
    except flags.UnrecognizedFlagError as error:
      near = difflib.get_close_matches(
        error.flagname.split('.')[0], self.values
      )
      hint = f' Did you mean --{near[0]}?' if near else ''
      raise ValueError(f'No flag --{error.flagname}.{hint}') from error
    if len(self.others) not in wanted:
      counts = ' or '.join(map(str, wanted))
      raise ValueError(
        f'expected {counts} file name(s), got {self.others}. Usage:\n'
        f'{self.usage}'
      )
    return True

  def recipe(self) -> Recipe:
    """The recipe that `--config` names."""
    return recipe.load(config_flags.get_config_filename(self.values['config']))


def config_of(name: str, changes: Sequence[str]) -> tuple[Recipe, Any]:
  """The recipe of `FILE.py:ROW`, and its numbers with some of them changed.

  Args:
    name: what `--config` takes.
    changes: words such as `--config.seed=1`.

  Raises:
    ValueError: as `Parser.config` and `Parser.parse`.
  """
  parser = Parser(name)
  words = [f'--config={name}', *changes]
  parser.config(words)
  parser.parse(words, 0)
  return parser.recipe(), parser.values.config


def _located(words):
  """The words, with the path of a config that comes with the package."""
  name = _config_of(words)
  if name is None or not name.startswith(bundled.PREFIX):
    return words
  path = bundled.located(name)
  meant = name, f'config={name}'
  is_it = lambda word: word.lstrip('-') in meant
  return [word.replace(name, path) if is_it(word) else word for word in words]


def _config_of(words):
  for i, word in enumerate(words):
    name, equals, value = word.lstrip('-').partition('=')
    if word.startswith('-') and name == 'config':
      return value if equals else (words[i + 1] if i + 1 < len(words) else None)
  return None
