"""`python -m stress` is `pte-stress`."""

from stress.cli import main

main()
