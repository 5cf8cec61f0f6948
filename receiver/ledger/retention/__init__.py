"""What is deleted and when, so that no table grows without bound."""
