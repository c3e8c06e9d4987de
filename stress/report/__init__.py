"""Tables, published figures and pictures."""
