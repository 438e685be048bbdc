"""What reaches the operator who is not looking: Telegram, e-mail, heartbeat, watchdog."""
