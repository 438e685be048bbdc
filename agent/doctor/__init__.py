"""Is everything as it should be before and while it trades: findings, each with its fix."""
