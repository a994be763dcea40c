"""Which calls share an answer, and who asks for it."""
