"""Small networks that the project has trained, with what they were trained on; loaded by name."""
