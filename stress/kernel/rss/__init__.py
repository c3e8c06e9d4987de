"""How pages are counted: one file per way of counting."""
