"""`python -m calsyncd`."""

from calsyncd.cli import main

main()
