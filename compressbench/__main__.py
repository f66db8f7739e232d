"""`python -m compressbench` is the same as `compressbench`."""

import sys

from compressbench.cli.main import main

sys.exit(main())
