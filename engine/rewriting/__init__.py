"""Rewrite programs, one file a pass: loops found again, loops taken apart, steps shared, folded and made plain."""
