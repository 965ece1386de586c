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


def build(out: Path, builder: str = "html", pages: list[str] | None = None) -> int:
    """Copy the sources, add the reference, and run Sphinx on them; return 0 where all went well.

    Warnings are errors: a broken reference, a page that is in no list, an example that raises.
    """
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy2(HERE / "conf.py", source)  # pages lead to ../pictures, here as in the repository
    shutil.copytree(HERE.parent / "pictures", out / "pictures", dirs_exist_ok=True)
    write_reference(source / "reference")
    arguments = [
        "-b",
        builder,
        "-W",
        "--keep-going",
        "-q",
        "-j",
        "auto",
        "-d",
        str(out / "doctrees"),
        str(source),
        str(out / builder),
    ]
    found: int = sphinx(arguments)
    return found


def main() -> None:
    """Build the pages, or with --links look whether the links in them lead anywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/book"), help="folder (default out/book)")
    parser.add_argument("--links", action="store_true", help="check the links instead, also those to other sites")
    chosen = parser.parse_args()
    began = time.perf_counter()
    failed = build(chosen.out.resolve(), "linkcheck" if chosen.links else "html")
    if failed:
        raise SystemExit("the book has faults: see above")
    print(f"{chosen.out / 'html' / 'index.html'} in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
