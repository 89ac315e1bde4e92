"""`python -m jcompress`: the command."""

from jcompress import main

if __name__ == '__main__':
  main.run()
