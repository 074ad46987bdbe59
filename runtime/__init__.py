"""The running service: camera -> faces -> models -> fusion -> stabilizer -> matcher -> player -> MQTT."""
