"""`python -m tinyres` is the command `tinyres`."""

from __future__ import annotations

import sys

from tinyres.cli import main

if __name__ == "__main__":
    sys.exit(main())
