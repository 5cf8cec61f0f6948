"""What every room uses: the model, the errors, validation messages, logs and threads."""
