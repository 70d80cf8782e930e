"""What commands do, as functions that return text or data; and how some of them look on the command line."""
