"""What outsiders see and say: HTTP, metrics, reports, log lines. Reads views and facts; appends only what outsiders say."""
