"""What several test files share."""

from beartype import BeartypeConf, beartype

# Annotations say float where an int will do, as everywhere in Python.
typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
