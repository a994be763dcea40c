"""What a call may use, what it used, and what that costs."""
