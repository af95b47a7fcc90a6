"""The program of the Flex Template's launcher. It writes the job, and the launcher submits it without waiting."""

import sys

from reelbeam.pipeline.flex_template import main

sys.exit(main())
