"""What belongs in Git: loading, compiling and matching the policy."""
