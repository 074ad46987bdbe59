"""From trained models to device-ready bundles: converters, heads, parity. Torch is allowed here, never in runtime."""
