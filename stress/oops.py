"""Old path of `stress.kernel.bug`, kept for files of users."""

from stress.kernel.bug import MAPCOUNT, OWNER, PAGE_REFS, PFN_VALID, RSS_STAT, SWAP_REFS, TLB, USER, oops

__all__ = ["MAPCOUNT", "OWNER", "PAGE_REFS", "PFN_VALID", "RSS_STAT", "SWAP_REFS", "TLB", "USER", "oops"]
