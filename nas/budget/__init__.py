"""Does a network fit: what it costs, what is allowed, and the region of a space that is left."""
