"""What several commands share: the parser and its flags, the person at the terminal, signing in there."""
