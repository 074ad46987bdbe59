"""The smart home: what is told over MQTT, what may be asked, and the line to the broker."""
