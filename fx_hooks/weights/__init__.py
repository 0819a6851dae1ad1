"""The content of weight files and the effects of loading them; nothing is ever unpickled."""
