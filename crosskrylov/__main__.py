"""``python -m crosskrylov``: see `crosskrylov.engine.cli`."""

import sys

from crosskrylov.engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
