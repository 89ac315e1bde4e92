"""What the pages of the documentation do not say by hand.

A comment such as `<!-- made: config pruning -->` in a page stands for text that
is made from the package, its configs and its tests when the site is built.
"""
