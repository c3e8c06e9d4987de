"""Tables of what a design can be made of: `pte-stress list` prints them, `docs/reference` is made from them."""
