"""Report in one line what a demo needs if it is not installed: ``with needed("matplotlib"):`` around its imports."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def needed(*packages: str) -> Iterator[None]:
    """Turn a missing module into one line that names the packages to install; pip skips those already there."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "chainrule":
            sys.exit(f'{Path(sys.argv[0]).name} needs chainrule: pip install "{HERE.parent}[all]"')
        if not missing:  # chainrule itself says what is missing
            sys.exit(f"{Path(sys.argv[0]).name}: {error}")
        sys.exit(f"{Path(sys.argv[0]).name} needs {missing}: pip install {' '.join(packages)}")
