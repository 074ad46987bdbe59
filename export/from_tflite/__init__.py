"""TFLite to ONNX for the networks that the starter set needs, without TensorFlow."""
