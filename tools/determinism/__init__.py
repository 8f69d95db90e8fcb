"""What is byte-identical across what."""
