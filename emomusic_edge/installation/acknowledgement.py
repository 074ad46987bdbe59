"""What whoever installs the service is asked once: what the camera is for, and where its use is against the law."""

from __future__ import annotations

# Remembered with the answer: a text that says something else is asked again.
ACKNOWLEDGEMENT_VERSION = "1"

ACKNOWLEDGEMENT = """\
Before this runs all day: please read this once.

- A camera will watch the room whenever the service runs. Pictures are looked at in memory and never kept or sent.
  What comes out is an estimate of how people feel, and it is often wrong. It is for wellbeing at home: music that
  fits. It is no medical device and no diagnosis.
- Everyone who may be seen should know of it and agree: family, guests, flatmates. Pause closes the camera.
- Inferring emotions of people at work or in education is forbidden in the EU (AI Act, Article 5(1)(f)), and people
  who are exposed to emotion recognition must be told (Article 50(3)). Other laws may ask more. Do not use it for
  employees, pupils, tenants or customers.

docs/privacy.md says more. This is no legal advice."""
