"""CEL expressions, the values that they see, and templates. Only this package imports CEL."""
