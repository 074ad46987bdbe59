"""The networks that a checkpoint may hold, in PyTorch, and how they become one ONNX graph with explicit masks."""
