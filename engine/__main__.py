"""Run the command line with ``python -m chainrule``."""

import importlib
import sys

if __name__ == "__main__":
    # Looked up by name: the engine does not know what is built on it.
    sys.exit(importlib.import_module("chainrule.viz.command").main())
