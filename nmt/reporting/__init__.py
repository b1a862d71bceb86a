"""What a run shows of itself: metric logs, heatmaps, the progress line and the log file."""
