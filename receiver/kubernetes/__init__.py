"""What is known of Kubernetes itself: the way to an API server, its paths, errors, health."""
