"""`python -m rushhour.cli` is `rushhour`."""

from rushhour.cli import main

main()
