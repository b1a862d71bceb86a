"""What a run is made of: its folder, checkpoints, text, heritage, and the test at its end."""
