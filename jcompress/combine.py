"""Which leaves of the params a compressor gets."""

from collections.abc import Mapping

import jax

from jcompress import tree
from jcompress.base import Compressor, Parts, is_leaf, require_compressor
from jcompress.encoded import Dense, is_encoded
from jcompress.passing import passing
from jcompress.patterns import require_pattern
from jcompress.stacked import Axes
from jcompress.stacked import stacked as each_layer


def identity() -> Compressor:
  """The params as they are: the dense baseline, and the unit of `chain`.

  It computes nothing, so that NaN and inf are shipped like any other number.
  """
  return _IDENTITY


def _of_no_state(function):
  def call(latent, state):
    if jax.tree.leaves(state):
      raise TypeError('identity() has no state, this is of another compressor')
    return function(latent)

  return call


_IDENTITY = passing(
  Compressor(
    init=lambda params: (params, ()),
    view=_of_no_state(lambda latent: latent),
    encode=_of_no_state(lambda latent: jax.tree.map(Dense, latent)),
  ),
  computes=False,
)


def select(
  pattern: str,
  compressor: Compressor,
  *,
  stacked: Axes | Mapping[str, Axes] | None = None,
) -> Compressor:
  """Applies a compressor to the leaves whose path matches.

  Args:
    pattern: regular expression that must match the whole path of a leaf, such
      as `KERNELS = r'(?:.*/)?kernel'`.
    compressor: what these leaves get. The others are trained and shipped as
      they are.
    stacked: axes of these leaves that count layers, such as 0 of a scanned
      model, or by leaf path, as `stacked_axes` finds them: each layer is
      compressed as an array of its own, see `stacked`.

  Raises:
    ValueError: no pattern, or no compressor; in `init`, if the pattern matches
      no leaf, or none of floats.
  """
  return partition((pattern, compressor), stacked=stacked)


def partition(
  *rules: tuple[str, Compressor],
  stacked: Axes | Mapping[str, Axes] | None = None,
) -> Compressor:
  """Gives each leaf the compressor of the first rule that its path matches.

  The latent has the containers and paths of the params, and in the place of
  each leaf its latent, so that masks and labels for the optimizer may be made
  as for params: `optax.adamw(..., mask=tree)` decays what it always did. Only
  where one latent stands for several leaves, as a codebook of the network does,
  it is a `Parts`, with these latents beside the other leaves.

  Args:
    *rules: pairs `(pattern, compressor)`; leaves that no pattern matches are
      trained and shipped as they are.
    stacked: as of `select`, for the leaves of all rules.

  Raises:
    ValueError: without rules, or with one that is no such pair; in `init`, if a
      pattern matches no leaf, none of floats, or only leaves that an earlier
      rule took.
  """
  _require_rules(rules)
  patterns = [pattern for pattern, _ in rules]
  inners = [inner for _, inner in rules]
  if stacked is not None:
    inners = [each_layer(inner, stacked) for inner in inners]
  plain = identity()

  def init(params):
    if isinstance(stacked, Mapping):
      _require_known(stacked, params)
    chosen, rest = tree.split_all(patterns, params)
    pairs = [c.init(p) for c, p in zip(inners, chosen, strict=True)]
    plain_latent, plain_state = plain.init(rest)
    latents = [l for l, _ in pairs]
    is_shared = [
      not _is_leafwise(l, p) for l, p in zip(latents, chosen, strict=True)
    ]
    latent = _put_together(latents, plain_latent, is_shared)
    return latent, (*(s for _, s in pairs), plain_state)

  def each(latent, state):
    """Each rule, its latent and its state; the last of leaves without one."""
    if not isinstance(state, tuple) or len(state) != len(rules) + 1:
      raise ValueError(
        f'The state has the form {jax.tree.structure(state)}; that of a '
        f'partition of {len(rules)} rules is a tuple of {len(rules) + 1}. Is '
        'it of this compressor, of its init or its last update?'
      )
    latents = _take_apart(patterns, latent)
    return list(zip((*inners, plain), latents, state, strict=True))

  def view(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    return tree.join(*(c.view(l, s) for c, l, s in each(latent, state)))

  def encode(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    parts = [c.encode(l, s) for c, l, s in each(latent, state)]
    return tree.join(*parts, is_leaf=is_encoded)

  def penalty(latent, state):
    return sum(c.penalty(l, s) for c, l, s in each(latent, state))

  def update(latent, state, grads):
    parts = zip(each(latent, state), _take_apart(patterns, grads), strict=True)
    *pairs, (rest, plain_state) = [c.update(l, s, g) for (c, l, s), g in parts]
    latents, states = [l for l, _ in pairs], [s for _, s in pairs]
    is_shared = [False] * len(pairs)
    if isinstance(latent, Parts):
      is_shared = [x is not None for x in latent.shared]
    return _put_together(latents, rest, is_shared), (*states, plain_state)

  return Compressor(init, view, encode, penalty, update)


def _require_rules(rules):
  for rule in rules:
    is_pair = type(rule) is tuple and len(rule) == 2
    if not is_pair or not isinstance(rule[0], str):
      kinds = [type(x).__name__ for x in (rule if is_pair else [rule])]
      raise ValueError(
        f'A rule is {", ".join(kinds)}; it must be a pair of str and '
        'Compressor: select(KERNELS, kmeans_share(bits=5)), or '
        "partition((r'fc1/.*', kmeans_share(bits=2)), (KERNELS, "
        'kmeans_share(bits=5))); a dict by *rules.items().'
      )
    require_compressor(rule[1], f'The pattern {rule[0]!r}')
    require_pattern(rule[0])
  if not rules:
    raise ValueError('partition() needs at least one (pattern, compressor).')


def _require_known(stacked, params):
  names = tree.paths(params)
  unknown = [path for path in stacked if path not in names]
  if unknown:
    raise ValueError(
      f'stacked names {", ".join(unknown)}, and the params are '
      f'{", ".join(names)}.'
    )


def _is_leafwise(latent, params):
  """Whether each leaf of the params has a latent in its place."""
  floats = jax.tree.structure(tree.split_floats(params)[0])
  return jax.tree.structure(latent, is_leaf=is_leaf) == floats


def _put_together(latents, rest, is_shared):
  """A tree like the params; `Parts` where a latent is of several leaves."""
  pairs = list(zip(latents, is_shared, strict=True))
  placed = [latent for latent, shared in pairs if not shared]
  leaves = tree.join(rest, *placed, is_leaf=is_leaf)
  if not any(is_shared):
    return leaves
  return Parts(leaves, tuple(l if shared else None for l, shared in pairs))


def _take_apart(patterns, latent):
  """Inverts `_put_together`: a latent for each pattern, then the rest."""
  leaves = latent.leaves if isinstance(latent, Parts) else latent
  parts, rest = tree.deal(patterns, leaves, is_leaf)
  if isinstance(latent, Parts):
    pairs = zip(latent.shared, parts, strict=True)
    parts = [part if own is None else own for own, part in pairs]
  return [*parts, rest]
