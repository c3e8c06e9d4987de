#!/usr/bin/env python3
"""`pte-stress soak` of this clone: ``python scripts/soak.py --hours 8``."""

import sys

from stress.cli import main

if __name__ == "__main__":
    main(["soak", *sys.argv[1:]])
