"""A rule file becomes rules in force; what they match, and which handlers they may use."""
