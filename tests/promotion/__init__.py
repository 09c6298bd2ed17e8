"""The workflows of `docs/promotion/`, and the story that they carry out."""
