"""What every exported bundle passes before it is written: one module a gate."""
