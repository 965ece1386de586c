"""Build the book: ``python demos/book/build.py`` runs every example in it and writes out/book/index.html."""

import argparse
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from needed import needed  # noqa: E402

with needed("sphinx", "myst-nb", "furo", "matplotlib"):
    from reference import write_reference
    from sphinx.cmd.build import main as sphinx


def build(out: Path) -> int:
    """Copy the sources, add the reference, and run Sphinx on them; return 0 where all went well.

    Warnings are errors: a reference or link that leads nowhere, a page that is in no list, an example that raises.
    """
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__pycache__"))
    # Pages lead to ../pictures, here as in the repository.
    shutil.copytree(HERE.parent / "pictures", out / "pictures", dirs_exist_ok=True)
    write_reference(source / "reference")
    options = ["-W", "--keep-going", "-q", "-j", "auto", "-d", str(out / "doctrees"), str(source)]
    # The second one reads what the first one has run.
    return max(sphinx(["-b", builder, *options, str(out / builder)]) for builder in ("html", "linkcheck"))


def main() -> None:
    """Build the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/book"), help="folder (default out/book)")
    chosen = parser.parse_args()
    began = time.perf_counter()
    if build(chosen.out.resolve()):
        raise SystemExit("the book has faults: see above")
    print(f"{chosen.out / 'html' / 'index.html'} in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
