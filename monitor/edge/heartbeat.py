"""The dead-man switch: ports.Heartbeat."""
