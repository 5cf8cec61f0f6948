"""What every room uses: model, states, errors, validation messages, logs, threads."""
