"""The words of the house as data, its errors, how a mistake is told, and the logs."""
