"""Home Assistant: the device describes its entities over MQTT, and what it no longer has leaves nothing behind."""
