"""The latency benchmark: what each model takes on each engine, and a frame on its whole way, with the noise told."""
