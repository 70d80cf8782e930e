"""What is priced: layers as arrays, layer lists, assumptions about spikes."""
