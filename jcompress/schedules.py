"""Schedules that compression needs and optax lacks."""

import optax


def cubic_sparsity(
  final: float, *, begin: int, end: int, initial: float = 0.0
) -> optax.Schedule:
  """Sparsity that rises fast, then slowly: `s_f + (s_i - s_f) (1 - u)^3`.

  Args:
    final: sparsity from step `end` on, in `0 .. 1`.
    begin: last step with the initial sparsity; `u` is 0 there.
    end: first step with the final sparsity; `u` is 1 there.
    initial: sparsity up to step `begin`.

  >>> schedule = cubic_sparsity(0.9, begin=0, end=1000)
  >>> [round(float(schedule(t)), 4) for t in (0, 100, 200, 500, 900, 1000)]
  [0.0, 0.2439, 0.4392, 0.7875, 0.8991, 0.9]

  Raises:
    ValueError: a sparsity outside `0 .. 1`, or `end <= begin`.

  References:
    Zhu & Gupta, To prune, or not to prune, 2017, arXiv 1710.01878, eq. 1.
  """
  for name, value in (('initial', initial), ('final', final)):
    if not 0 <= value <= 1:
      raise ValueError(f'{name} sparsity is {value}; it must lie in 0 .. 1.')
  if not 0 <= begin < end:
    raise ValueError(f'Need 0 <= begin < end, got begin={begin}, end={end}.')
  return optax.polynomial_schedule(
    initial,
    final,
    power=3,
    transition_steps=end - begin,
    transition_begin=begin,
  )
