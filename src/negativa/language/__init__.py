"""What is written: into picture files, and read from them."""
