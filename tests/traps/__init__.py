"""What goes wrong in other libraries that keep history, each as a test of its own."""
