"""Write pages that step through something, one HTML file each."""

from .page import page_target as page_target
from .page import part as part
from .page import to_page as to_page
from .play import playground as playground
from .steps import explain as explain
