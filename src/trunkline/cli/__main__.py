"""Makes `python -m trunkline.cli` the same as the `trunkline` program."""

from trunkline.cli import main

main()
