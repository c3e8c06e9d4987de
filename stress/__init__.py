"""pte-stress: stress, explore and measure page-fault paths and resident-set counters."""

__version__ = "0.1.0"
