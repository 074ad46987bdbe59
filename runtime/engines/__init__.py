"""What runs a model file: TensorRT on a GPU, or ONNX Runtime; the best that truly works here is chosen."""
