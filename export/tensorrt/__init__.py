"""From a bundle's graph to a TensorRT engine: the build, the process it runs in, and the gate that needs no GPU."""
