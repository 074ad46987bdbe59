"""What keeps the promises of docs/privacy.md: pauses that outlast a restart, the notice, the history, no core dumps."""
