"""The parts of the demonstration; `examples.mime_history` puts them together."""
