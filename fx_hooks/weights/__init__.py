"""What weight files hold and what loading them would do; nothing is ever unpickled."""
