"""All that is known of one tool, in one folder each."""
