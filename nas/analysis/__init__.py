"""Which operations of a space are worth searching."""
