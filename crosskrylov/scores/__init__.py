"""From images to stored scores: the march, seed images, engines, streaming and storage."""
