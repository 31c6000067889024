"""`python -m fanin` is the `fanin` command."""

import sys

from fanin.cli import main

sys.exit(main())
