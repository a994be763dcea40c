"""What a call would come to, without making it (`dry_run`)."""
