"""What a network is trained on: the only thing, besides its inputs, that differs between models."""
