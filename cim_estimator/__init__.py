"""What a spiking network costs on compute-in-memory crossbars."""
