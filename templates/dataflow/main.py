"""The program of the Flex Template's launcher: it saves the job as a template, and the launcher submits it."""

import sys

from reelbeam.pipeline.flex_template import main

sys.exit(main())
