"""What the Flex Template's launcher starts: it writes the job down, the launcher submits it, nobody waits here."""

import sys

from reelbeam.pipeline.flex_template import main

sys.exit(main())
