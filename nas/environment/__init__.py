"""What this machine lacks, and how it is repaired."""
