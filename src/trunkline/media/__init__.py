"""Media as Python decides it: the face of the Rust workers and the legs that calls hold."""
