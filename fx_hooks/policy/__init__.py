"""The policy, which says what belongs in Git: loading, compiling and matching."""
