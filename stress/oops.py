"""Old path of `stress.kernel.bug`, kept for files of users."""

from stress.kernel.bug import MAPCOUNT, OWNER, PAGE_REFS, PFN_VALID, SWAP_REFS, USER, oops

__all__ = ["MAPCOUNT", "OWNER", "PAGE_REFS", "PFN_VALID", "SWAP_REFS", "USER", "oops"]
