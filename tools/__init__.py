"""What makes parts of the manual; nothing of it is installed."""
