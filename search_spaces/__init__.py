"""What may be searched: the architecture's intermediate representation, the spaces, lowering and the network."""
