"""`python -m pipeline` is `reelbeam`."""

import sys

from pipeline.cli import main

sys.exit(main())
