"""The processes: the fork server, its messages, its client, the workers that it forks."""
